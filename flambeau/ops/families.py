"""Which file of this package has which operator: (names of functions, names of methods). A test keeps it
right."""

FAMILIES: dict[str, tuple[list[str], list[str]]] = {
    "shape": (
        """atleast_1d atleast_2d atleast_3d broadcast_tensors meshgrid
        cartesian_prod combinations rot90 fliplr flipud moveaxis swapaxes swapdims
        unflatten diagflat diag_embed take_along_dim unravel_index argwhere
        nonzero_static unsafe_chunk unsafe_split unsafe_split_with_sizes
        broadcast_shapes alias_copy as_strided_copy detach_copy
        diagonal_copy expand_copy narrow_copy permute_copy select_copy slice_copy
        split_copy split_with_sizes_copy squeeze_copy t_copy transpose_copy
        unbind_copy unfold_copy unsqueeze_copy view_copy view_as_real_copy
        view_as_complex_copy""".split(),
        """rot90 fliplr flipud moveaxis swapaxes swapdims
        unflatten diagflat diag_embed take_along_dim argwhere nonzero_static
        sum_to_size unsafe_chunk unsafe_split unsafe_split_with_sizes narrow_copy""".split(),
    ),
    "index": (
        """adjoint concat nonzero repeat_interleave unique unique_consecutive
        resize_as_ empty_permuted concatenate""".split(),
        """adjoint where repeat_interleave unique unique_consecutive
        resize_as_ fill_diagonal_""".split(),
    ),
    "losses": (
        """cosine_embedding_loss hinge_embedding_loss margin_ranking_loss poisson_nll_loss
        triplet_margin_loss""".split(),
        [],
    ),
    "attention": (
        """_native_multi_head_attention _transformer_encoder_layer_fwd""".split(),
        [],
    ),
    "einsum": (
        """einsum""".split(),
        [],
    ),
    "products": (
        """tensordot cross linalg_multi_dot chain_matmul linalg_vecdot
        cdist pdist renorm""".split(),
        """cross renorm renorm_""".split(),
    ),
    "norms": (
        """linalg_matrix_norm linalg_norm linalg_cond linalg_matrix_rank linalg_pinv norm
        frobenius_norm nuclear_norm norm_except_dim""".split(),
        """norm""".split(),
    ),
    "linalg": (
        """linalg_cholesky cholesky cholesky_solve cholesky_inverse linalg_inv inverse
        linalg_lu_factor linalg_ldl_factor lu_unpack linalg_lu linalg_lu_solve
        lu_solve lu linalg_svdvals svd linalg_eigvalsh linalg_eigvals qr
        linalg_slogdet slogdet logdet linalg_matrix_power matrix_power
        linalg_matrix_exp matrix_exp linalg_householder_product orgqr ormqr
        linalg_tensorinv linalg_tensorsolve linalg_vander vander linalg_diagonal
        linalg_matmul pinverse triangular_solve svd_lowrank pca_lowrank linalg_lstsq""".split(),
        """cholesky cholesky_solve cholesky_inverse inverse lu_solve lu svd qr slogdet logdet
        matrix_power matrix_exp orgqr ormqr pinverse triangular_solve""".split(),
    ),
    "reduce": (
        """nanmean quantile nanquantile bincount histc histogram histogramdd cov corrcoef diff
        gradient trapezoid trapz cumulative_trapezoid segment_reduce""".split(),
        """nanmean quantile nanquantile bincount histc histogram cov corrcoef diff gradient""".split(),
    ),
    "fft": (
        """fft_fft fft_ifft fft_rfft fft_irfft fft_hfft fft_ihfft fft_fftn fft_ifftn fft_rfftn
        fft_irfftn fft_hfftn fft_ihfftn fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2
        fft_hfft2 fft_ihfft2 fft_fftshift fft_ifftshift stft istft fft_fftfreq
        fft_rfftfreq""".split(),
        """stft istft""".split(),
    ),
    "windows": (
        """hann_window hamming_window blackman_window bartlett_window kaiser_window""".split(),
        [],
    ),
    "creation": (
        """logspace range tril_indices triu_indices""".split(),
        [],
    ),
    "uncommon": (
        """indices_copy values_copy crow_indices_copy col_indices_copy ccol_indices_copy
        row_indices_copy spmm hspmm hsmm sspaddmm native_norm resize_as_sparse_ slice_inverse
        batch_norm_update_stats _convert_indices_from_coo_to_csr
        _convert_indices_from_csr_to_coo""".split(),
        """sspaddmm sparse_resize_ sparse_resize_and_clear_ resize_as_sparse_ slice_inverse
        map2_""".split(),
    ),
    "fakequant": (
        """fused_moving_avg_obs_fake_quant _fake_quantize_learnable_per_tensor_affine
        _fake_quantize_learnable_per_channel_affine""".split(),
        [],
    ),
    "syncnorm": (
        """batch_norm_stats batch_norm_elemt batch_norm_gather_stats_with_counts
        batch_norm_gather_stats batch_norm_backward_reduce batch_norm_backward_elemt""".split(),
        [],
    ),
    "of_quantized": (
        """dequantize int_repr q_scale q_zero_point q_per_channel_scales q_per_channel_zero_points
        q_per_channel_axis quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d
        quantized_batch_norm""".split(),
        """dequantize int_repr q_scale q_zero_point q_per_channel_scales q_per_channel_zero_points
        q_per_channel_axis qscheme""".split(),
    ),
    "sparse": (
        """dsmm smm saddmm sparse_coo_tensor sparse_compressed_tensor sparse_csr_tensor
        sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor""".split(),
        """to_dense to_sparse to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc to_sparse_coo
        sparse_mask dense_dim
        sparse_dim smm coalesce is_coalesced indices values crow_indices col_indices
        ccol_indices row_indices""".split(),
    ),
}
