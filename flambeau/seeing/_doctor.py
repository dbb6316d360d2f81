"""``flambeau.doctor``: one training step examined for the usual mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn

from . import _loss_checks
from ._call import call, shape_text, tensors, untouched
from ._findings import Checkup
from ._watch import Watch, not_finite

_MODE_MATTERS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.modules.dropout._DropoutNd,
)


def doctor(
    model: nn.Module,
    batch: Any,
    loss: Callable[..., fb.Tensor],
    optimizer: Any = None,
    *,
    step: Callable[[], Any] | None = None,
    show: bool = True,
) -> Checkup:
    """Examine one training step of a model, and say what is wrong and what to do.

    Parameters
    ----------
    model : the module, in the state in which it is to be trained.
    batch : ``(input, target)`` as the DataLoader gives it; an input that is a tuple is several arguments, a
        dictionary keyword arguments.
    loss : a module or function called as ``loss(output, target)``.
    optimizer : where given, whether it has the model's parameters is examined too.
    step : where given, your own training step without arguments; it is run twice to see whether gradients
        pile up because they are not set to zero. Parameters, buffers, the optimizer's and the random state
        are put back.
    show : print the findings.

    Returns
    -------
    Checkup : its ``findings``, each with kind, severity ('error', 'warning', 'note'), place, message, remedy.

    Notes
    -----
    Looks for: a model left in evaluation mode; frozen, unused and unregistered parameters; those that the
    optimizer lacks; gradients never set to zero; NaN and Inf, with the module and operator they first arose
    in, forward or backward; softmax before a loss that has its own; labels out of range; predictions and
    targets that broadcast; dead and saturated units; inputs far from unit scale. The model and ``.grad`` are
    left as they were.
    """
    found = Checkup()
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(f"doctor: batch is (input, target), not {type(batch).__name__}")
    inputs, target = batch
    _examine_setup(found, model, inputs)
    watch = Watch(model)
    with untouched(model), fb.enable_grad():
        _run(found, model, inputs, target, loss, watch)
    _report_birth(found, watch)
    _report_units(found, watch)
    _loss_checks.examine(found, watch.calls)
    _examine_gradients_before(found, model)
    if optimizer is not None:
        _examine_optimizer(found, model, optimizer)
    if step is not None:
        _examine_step(found, model, optimizer, step)
    found.findings.sort(key=lambda f: ("error", "warning", "note").index(f.severity))
    if show:
        print(found)
    return found


def _few(names: list[str], limit: int = 4) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _examine_setup(found: Checkup, model: nn.Module, inputs: Any) -> None:
    resting = [
        name or type(m).__name__
        for name, m in model.named_modules()
        if not m.training and isinstance(m, _MODE_MATTERS)
    ]
    if resting:
        found.add(
            "model in eval mode",
            "error" if not model.training else "note",
            _few(resting),
            "dropout and normalisation behave as in testing while the model trains"
            if not model.training
            else "these modules are in evaluation mode while the rest trains",
            "call model.train() before training (and model.eval() before testing)"
            if not model.training
            else "",
        )
    elif not model.training:
        found.add(
            "model in eval mode", "note", "", "model.training is False; no module in it depends on that"
        )
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    if frozen:
        everything = len(frozen) == sum(1 for _ in model.parameters())
        found.add(
            "frozen parameters",
            "error" if everything else "note",
            _few(frozen),
            "requires_grad is False, so they stay as they are",
        )
    broken = [
        f"{name} ({value})" for name, p in model.named_parameters() if (value := not_finite(p.detach()))
    ]
    if broken:
        found.add(
            "bad parameters",
            "error",
            _few(broken),
            "a parameter is not finite before the step",
            "an earlier step spoilt it: go back to a checkpoint, and look at the learning rate and gradients",
        )
    for path, attribute, what in _unregistered(model):
        found.add(
            "unregistered",
            "error",
            f"{path}.{attribute}" if path else attribute,
            f"{what} that the module does not know: it is in no state_dict, and model.parameters() lacks it",
            "keep modules in nn.ModuleList or nn.ModuleDict, tensors in nn.Parameter or nn.ParameterList",
        )
    for tensor in tensors(inputs):
        if value := not_finite(tensor):
            found.add("bad input", "error", "", f"the input has {value}", "look at the data set")
        elif tensor.is_floating_point() and tensor.numel() > 16:
            mean, spread = tensor.mean().item(), tensor.std().item()
            if abs(mean) > 20 or spread > 20:
                found.add(
                    "input scale",
                    "warning",
                    "",
                    f"the input has mean {mean:.4g} and deviation {spread:.4g}",
                    "networks learn best from inputs near mean 0 and deviation 1: divide or normalise",
                )


def _unregistered(model: nn.Module) -> list[tuple[str, str, str]]:
    """Modules and trainable tensors that hang on attributes which modules do not look into."""
    known = {id(m) for m in model.modules()} | {id(p) for p in model.parameters()}
    known |= {id(b) for b in model.buffers()}
    hidden = []
    for path, module in model.named_modules():
        for attribute, value in vars(module).items():
            if attribute.startswith("_") and attribute in vars(nn.Module()):
                continue
            for part in _parts(value):
                if id(part) in known:
                    continue
                if isinstance(part, nn.Module) and any(True for _ in part.parameters()):
                    hidden.append(
                        (path, attribute, f"a {type(part).__name__} in a plain {type(value).__name__}")
                    )
                elif isinstance(part, fb.Tensor) and part.requires_grad and part.is_leaf:
                    hidden.append((path, attribute, "a tensor that requires gradients"))
                else:
                    continue
                break
    return hidden


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple, set)):
        return list(value)
    return [value]


def _run(
    found: Checkup,
    model: nn.Module,
    inputs: Any,
    target: Any,
    loss: Callable[..., Any],
    watch: Watch,
) -> None:
    """The step itself: forward, loss, backward."""
    with watch:
        try:
            output = call(model, inputs)
        except Exception as error:
            found.add(
                "forward pass fails",
                "error",
                watch.last,
                f"{type(error).__name__}: {str(error).splitlines()[0]}",
                f"the model was given {shape_text(inputs)}",
            )
            return
        watch.keep_calls = True
        value = _run_loss(found, loss, output, target)
    if value is not None:
        found.loss = value.item() if value.numel() == 1 else None
        _examine_backward(found, model, value, inputs, watch)


def _run_loss(found: Checkup, loss: Callable[..., Any], output: Any, target: Any) -> fb.Tensor | None:
    try:
        value = loss(output, target)
    except Exception as error:
        found.add(
            "loss fails",
            "error",
            "",
            f"{type(error).__name__}: {str(error).splitlines()[0]}",
            f"it was given output {shape_text(output)} and target {shape_text(target)}",
        )
        return None
    if not isinstance(value, fb.Tensor):
        found.add(
            "loss is no tensor",
            "error",
            "",
            f"it is a {type(value).__name__}, from which no gradient flows",
            "return the tensor; item() is for printing",
        )
        return None
    if value.numel() != 1:
        found.add(
            "loss is not one number",
            "error",
            "",
            f"it has shape {tuple(value.shape)}",
            "reduce it: .mean(), or reduction='mean'",
        )
    if not value.requires_grad:
        found.add(
            "loss without gradient",
            "error",
            "",
            "no gradient can flow back from the loss",
            "something cuts the graph: detach(), item(), numpy(), argmax, no_grad, or frozen parameters",
        )
        return None
    return value


def _report_birth(found: Checkup, watch: Watch) -> None:
    if (birth := watch.birth) is not None:
        found.add(
            f"{birth.value} in the forward pass",
            "error",
            birth.where or "the model itself",
            f"it first arose in {birth.operator}, given {birth.given or 'nothing'}",
            "keep what goes in within the operator's domain: clamp, add a small number, or use the log form",
        )


def _report_units(found: Checkup, watch: Watch) -> None:
    for where, (dead, units, results) in watch.dead.items():
        # with few results many units are silent by chance
        if dead >= max(2, (0.5 if results >= 16 else 0.9) * units):
            found.add(
                "dead units",
                "warning" if dead < units else "error",
                where,
                f"{dead} of {units} give zero for the whole batch, and so learn nothing from it",
                "lower the learning rate, look at the biases, or use LeakyReLU or GELU",
            )
    for where, part in watch.saturated.items():
        if part > 0.9:
            found.add(
                "saturated units",
                "warning",
                where,
                f"{part:.0%} of the results are at the ends, where the gradient vanishes",
                "scale the inputs or the weights down",
            )


def _examine_backward(found: Checkup, model: nn.Module, value: fb.Tensor, inputs: Any, watch: Watch) -> None:
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trainable:
        return
    born: list[Any] = []

    def look(node: Any) -> Any:
        def see(into: tuple, outof: tuple) -> None:
            bad = next(filter(None, map(not_finite, tensors(into))), "")
            if bad and not born and not any(map(not_finite, tensors(outof))):
                born.append((node, bad))

        return node.register_hook(see)

    nodes = _nodes(value)
    _foreign_leaves(found, nodes, model, inputs)
    handles = [look(node) for node in nodes if not hasattr(node, "variable")]
    try:
        gradients = fb.autograd.grad(
            value.sum(), list(trainable.values()), retain_graph=True, allow_unused=True
        )
    finally:
        for handle in handles:
            handle.remove()
    unused = [name for name, g in zip(trainable, gradients) if g is None]
    if unused:
        found.add(
            "unused parameters",
            "warning",
            _few(unused),
            "the loss does not depend on them",
            "use them in forward(), or take them out; check for detach() and for a branch not taken",
        )
    for name, gradient in zip(trainable, gradients):
        if gradient is not None:
            found.gradients[name] = gradient.pow(2).mean().sqrt().item()
    still = [name for name, size in found.gradients.items() if size == 0]
    if still and not watch.birth:
        found.add(
            "zero gradients",
            "warning",
            _few(still),
            "every gradient is exactly zero",
            "dead units, a saturated function or an operator without slope lies between them and the loss",
        )
    if born:
        node, bad = born[0]
        where = watch.nodes.get(node, "")
        found.add(
            f"{bad} in the backward pass",
            "error",
            where,
            f"the gradient first became {bad} in {node.name()}, from finite gradients",
            "its slope is infinite here: sqrt, norm or pow at 0, log or division by 0",
        )
    _examine_sizes(found)


def _examine_sizes(found: Checkup) -> None:
    sizes = {name: size for name, size in found.gradients.items() if 0 < size < float("inf")}
    if sizes and max(sizes.values()) > 1e3:
        name = max(sizes, key=sizes.__getitem__)
        found.add(
            "exploding gradients",
            "warning",
            name,
            f"root mean square {sizes[name]:.3g}",
            "clip them (nn.utils.clip_grad_norm_), lower the learning rate, or normalise",
        )
    weights = {name: size for name, size in sizes.items() if name.endswith("weight")}
    if len(weights) > 2 and max(weights.values()) > 1e6 * min(weights.values()):
        name = min(weights, key=weights.__getitem__)
        found.add(
            "vanishing gradients",
            "warning",
            name,
            f"root mean square {weights[name]:.3g}, a millionth of the largest layer's",
            "use ReLU-like activations, normalisation, skip connections or another initialisation",
        )


def _nodes(value: fb.Tensor) -> list[Any]:
    seen = {value.grad_fn: None}
    stack = [value.grad_fn]
    while stack:
        for node, _ in stack.pop().next_functions:
            if node is not None and node not in seen:
                seen[node] = None
                stack.append(node)
    return list(seen)


def _foreign_leaves(found: Checkup, nodes: list[Any], model: nn.Module, inputs: Any) -> None:
    """Leaves that the loss depends on and model.parameters() lacks."""
    known = {id(p) for p in model.parameters()} | {id(t) for t in tensors(inputs)}
    foreign = [
        node.variable for node in nodes if hasattr(node, "variable") and id(node.variable) not in known
    ]
    if foreign and "unregistered" not in found.kinds():
        shapes = _few([str(tuple(t.shape)) for t in foreign])
        found.add(
            "unregistered",
            "warning",
            "",
            f"the loss depends on trainable tensors that model.parameters() lacks, of shapes {shapes}",
            "assign them to the module as nn.Parameter, or give them to the optimizer yourself",
        )


def _examine_gradients_before(found: Checkup, model: nn.Module) -> None:
    old = [n for n, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())]
    if old:
        found.add(
            "gradients left over",
            "warning",
            _few(old),
            "backward() will add this step's gradients to those already there",
            "call optimizer.zero_grad() before backward(), unless you accumulate on purpose",
        )


def _examine_optimizer(found: Checkup, model: nn.Module, optimizer: Any) -> None:
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if missing:
        found.add(
            "not in the optimizer",
            "error",
            _few(missing),
            "the optimizer will not change these parameters",
            "make the optimizer from model.parameters() after the model has all its layers",
        )
    strangers = len(held - {id(p) for p in model.parameters()})
    if strangers:
        found.add(
            "strangers in the optimizer",
            "error" if strangers == len(held) else "note",
            "",
            f"{strangers} of its {len(held)} parameters are not the model's",
            "the model was made anew or copied after the optimizer" if strangers == len(held) else "",
        )
    for k, group in enumerate(optimizer.param_groups):
        if float(group.get("lr", 1.0)) == 0.0:
            found.add("learning rate 0", "warning", f"group {k}", "its parameters do not move")


def _examine_step(found: Checkup, model: nn.Module, optimizer: Any, step: Callable[[], Any]) -> None:
    """Run the user's step twice; does the second leave more in ``.grad`` than arrived during it?"""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    kept = {name: (p.detach().clone(), p.grad) for name, p in parameters.items()}
    optimizer_state = _copied(optimizer.state_dict()) if optimizer is not None else None
    arrived: dict[str, fb.Tensor] = {}

    def listen(name: str) -> Callable[[fb.Tensor], None]:
        def add(gradient: fb.Tensor) -> None:
            arrived[name] = arrived[name] + gradient if name in arrived else gradient.detach().clone()

        return add

    handles = [p.register_hook(listen(name)) for name, p in parameters.items()]
    try:
        with untouched(model):
            for p in parameters.values():
                p.grad = None
            step()
            moved = [n for n, p in parameters.items() if not fb.equal(p.detach(), kept[n][0])]
            arrived.clear()
            step()
            piled = [
                name
                for name, p in parameters.items()
                if p.grad is not None
                and name in arrived
                and not fb.allclose(p.grad, arrived[name], rtol=1e-3, atol=1e-9)
                and p.grad.norm() > 0
            ]
    finally:
        for handle in handles:
            handle.remove()
        with fb.no_grad():
            for name, p in parameters.items():
                p.copy_(kept[name][0])
                p.grad = kept[name][1]
        if optimizer is not None:
            optimizer.load_state_dict(optimizer_state)
    if piled:
        found.add(
            "missing zero_grad",
            "error",
            _few(piled),
            "after the second step .grad holds more than that step's gradient: gradients pile up",
            "call optimizer.zero_grad() in every step before backward()",
        )
    if not moved:
        found.add(
            "step changes nothing",
            "error",
            "",
            "no parameter moved",
            "is optimizer.step() called, after backward()?",
        )


def _copied(state: Any) -> Any:
    if isinstance(state, fb.Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(_copied(value) for value in state)
    return state
