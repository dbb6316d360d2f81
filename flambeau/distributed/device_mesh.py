"""Processes in a grid: a group for each line of it."""

from __future__ import annotations

import itertools
from typing import Any

import flambeau as fb
from flambeau import distributed as dist

__all__ = ["DeviceMesh", "init_device_mesh"]


class DeviceMesh:
    """Processes in a grid of one or more dimensions.

    Parameters
    ----------
    device_type : what the tensors are on.
    mesh : the ranks, as nested lists or a tensor of whole numbers.
    mesh_dim_names : names of the dimensions; ``mesh["dp"]`` is the line of this process along one.
    """

    def __init__(
        self, device_type: str, mesh: Any = None, *, mesh_dim_names: tuple[str, ...] | None = None,
        backend_override: Any = None, _init_backend: bool = True, _groups: list | None = None,
    ) -> None:  # fmt: skip
        self.device_type = device_type
        self.mesh = fb.as_tensor(mesh, dtype=fb.int32).detach().cpu()
        self.mesh_dim_names = None if mesh_dim_names is None else tuple(mesh_dim_names)
        if self.mesh_dim_names is not None and len(self.mesh_dim_names) != self.mesh.ndim:
            raise RuntimeError(
                "mesh_shape and mesh_dim_names should have same length!",
                f"Found len(mesh_dim_names): {len(self.mesh_dim_names)} "
                f"and len(mesh_shape):{self.mesh.ndim}.",
            )
        if _init_backend and not dist.is_initialized():
            dist.init_process_group()
        self._groups = _groups if _groups is not None else self._make_groups() if _init_backend else []

    def _make_groups(self) -> list:
        """For each dimension the group of this process; all processes make all groups, in one order."""
        mine = []
        for d in range(self.mesh.ndim):
            found = dist.GroupMember.NON_GROUP_MEMBER
            for line in self.mesh.movedim(d, -1).reshape(-1, self.mesh.shape[d]).tolist():
                whole = line == list(range(dist.get_world_size()))
                made = dist.group.WORLD if whole else dist.new_group(line, sort_ranks=False)
                if dist.get_rank() in line:
                    found = made
            mine.append(found)
        return mine

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of processes along each dimension."""
        return tuple(self.mesh.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.mesh.ndim

    def size(self, mesh_dim: int | None = None) -> int:
        """The number of processes, of all or along a dimension."""
        return self.mesh.numel() if mesh_dim is None else self.mesh.size(mesh_dim)

    def _dim(self, mesh_dim: int | str | None) -> int:
        if mesh_dim is None:
            if self.ndim > 1:
                raise RuntimeError(
                    f"Found the DeviceMesh have {self.ndim} dimensions",
                    "Optional kwarg `mesh_dim` needs to be specified when device_mesh.ndim > 1.",
                )
            return 0
        if isinstance(mesh_dim, str):
            if mesh_dim not in (self.mesh_dim_names or ()):
                raise KeyError(f"Invalid mesh_dim_name {mesh_dim} specified. Valid: {self.mesh_dim_names}")
            return self.mesh_dim_names.index(mesh_dim)
        return mesh_dim

    def get_group(self, mesh_dim: int | str | None = None) -> Any:
        """The group of this process along a dimension."""
        return self._groups[self._dim(mesh_dim)]

    def get_all_groups(self) -> list:
        """The groups of this process along all dimensions."""
        return list(self._groups)

    def get_rank(self) -> int:
        """The rank of this process among all."""
        return dist.get_rank()

    def get_coordinate(self) -> list[int] | None:
        """Where this process is in the grid; None outside."""
        found = (self.mesh == dist.get_rank()).nonzero().tolist()
        return tuple(found[0]) if found else None

    def get_local_rank(self, mesh_dim: int | str | None = None) -> int:
        """The place of this process along a dimension."""
        place = self.get_coordinate()
        return -1 if place is None else place[self._dim(mesh_dim)]

    def __getitem__(self, names: str | tuple[str, ...]) -> DeviceMesh:
        if self.mesh_dim_names is None:
            raise RuntimeError("Cannot slice a DeviceMesh without mesh_dim_names!")
        names = (names,) if isinstance(names, str) else tuple(names)
        dims = [self._dim(name) for name in names]
        place = self.get_coordinate() or (0,) * self.ndim
        index = tuple(slice(None) if d in dims else place[d] for d in range(self.ndim))
        kept = sorted(dims)
        part = self.mesh[index].permute([kept.index(d) for d in dims])
        return DeviceMesh(
            self.device_type, part, mesh_dim_names=names, _groups=[self._groups[d] for d in dims]
        )

    @staticmethod
    def from_group(
        group: Any, device_type: str, mesh: Any = None, *, mesh_dim_names: tuple[str, ...] | None = None
    ) -> DeviceMesh:
        """The mesh of one group, or of a group for each dimension of `mesh`."""
        groups = list(group) if isinstance(group, (list, tuple)) else [group]
        ranks = dist.get_process_group_ranks(groups[0]) if mesh is None else mesh
        return DeviceMesh(device_type, ranks, mesh_dim_names=mesh_dim_names, _groups=groups)

    def _flatten(self, mesh_dim_name: str | None = None) -> DeviceMesh:
        """All processes of the grid in one line."""
        name = mesh_dim_name or "_".join(self.mesh_dim_names or ("flat",))
        if self.ndim == 1:
            return DeviceMesh(self.device_type, self.mesh, mesh_dim_names=(name,), _groups=self._groups)
        if self.size() != dist.get_world_size():
            raise NotImplementedError("DeviceMesh._flatten of a part of the processes")
        return DeviceMesh(self.device_type, self.mesh.reshape(-1), mesh_dim_names=(name,))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DeviceMesh):
            return NotImplemented
        same = (self.device_type, self.mesh_dim_names) == (other.device_type, other.mesh_dim_names)
        return self is other or (same and fb.equal(self.mesh, other.mesh))

    def __hash__(self) -> int:
        return hash(
            (self.device_type, self.mesh_dim_names, tuple(self.mesh.reshape(-1).tolist()), self.shape)
        )

    def __deepcopy__(self, memo: dict) -> DeviceMesh:
        return self

    def __repr__(self) -> str:
        names = self.mesh_dim_names
        shape = f"({', '.join(f'{n}={s}' for n, s in zip(names, self.shape))})" if names else f"{self.shape}"
        strides = [() if size == 1 else step for size, step in zip(self.shape, self.mesh.stride())]
        return f"DeviceMesh({shape}, '{self.device_type}', stride={tuple(strides)})"


def init_device_mesh(
    device_type: str,
    mesh_shape: tuple[int, ...],
    *,
    mesh_dim_names: tuple[str, ...] | None = None,
    backend_override: Any = None,
) -> DeviceMesh:
    """A grid of all processes; starts the process group if there is none."""
    if mesh_dim_names is not None:
        if len(set(mesh_dim_names)) != len(mesh_dim_names):
            raise RuntimeError(
                "Each mesh_dim_name must be unique.",
                f"Found repeated mesh_dim_name in mesh_dim_names {mesh_dim_names}",
            )
        if len(mesh_shape) != len(mesh_dim_names):
            raise RuntimeError(
                "mesh_shape and mesh_dim_names should have same length!",
                f"Found len(mesh_dim_names): {len(mesh_dim_names)} and len(mesh_shape):{len(mesh_shape)}.",
            )
    if device_type and not device_type.isalpha():
        raise RuntimeError(
            f"Device type with index is not supported but got {device_type}. ",
            "If you maintained a 'torch.device' object, it's recommended to pass in 'device.type'.",
        )
    count = list(itertools.accumulate(mesh_shape, lambda a, b: a * b))[-1]
    return DeviceMesh(device_type, fb.arange(count).reshape(mesh_shape), mesh_dim_names=mesh_dim_names)
