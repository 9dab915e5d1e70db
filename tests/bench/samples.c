/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/samples.h"

#include <stdlib.h>

static int by_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double samples_quantile(uint64_t *v, size_t n, double q)
{
	size_t at = (size_t)(q * (double)n);

	if (!n)
		return 0;
	qsort(v, n, sizeof(*v), by_ns);
	return (double)v[at < n ? at : n - 1];
}

double samples_median(double *v, size_t n)
{
	if (!n)
		return 0;
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}
