// Special functions of real numbers, in double precision.
#pragma once

namespace fb::special {

double digamma(double x);
double trigamma(double x);
float trigamma(float x);
double zeta(double s, double q);         // Hurwitz: sum over k >= 0 of (q + k)^-s
double lower_gamma(double a, double x);  // regularised incomplete gamma functions P and Q
double upper_gamma(double a, double x);
double erfinv(double x);
double ndtri(double p);  // quantile of the normal distribution
double i0e(double x);    // e^-|x| I0(x)
double i1e(double x);
double k0e(double x);  // e^x K0(x)
double k1e(double x);
double airy_ai(double x);

}  // namespace fb::special
