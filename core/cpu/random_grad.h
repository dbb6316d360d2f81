// How gamma and beta samples move with their parameters: implicit reparameterisation, -(dF/dalpha) / f with F
// the cumulative distribution and f the density (Figurnov, Mohamed and Mnih, 2018).
#pragma once

namespace fb::cpu {

double gamma_sample_grad(double alpha, double x);  // x drawn from Gamma(alpha, 1)
// x drawn from Beta(alpha, total - alpha); divided by 1 - x, which is what the gradient of a Dirichlet sample
// is made from.
double dirichlet_sample_grad(double x, double alpha, double total);

}  // namespace fb::cpu
