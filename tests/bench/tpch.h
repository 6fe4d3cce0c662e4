/* tpch.h - tables and queries of the shape of TPC-H (TPC Benchmark H, revision 3), filled by a generator of our own from a seed. Money is in cents and percents are
 * whole numbers, so that sums are exact and both engines print the same digits. Not TPC-H results: the rules of the TPC are not followed. */
#ifndef BENCH_TPCH_H
#define BENCH_TPCH_H

#include "bench.h"

#define TPCH_QUERIES 22

extern const char *const tpch_queries[TPCH_QUERIES]; /* number 1 is at 0 */
/* Make and fill the eight tables and their indexes. scale 1 is 6,000,000 rows in lineitem. */
bool tpch_fill(bench_db *b, double scale);

#endif
