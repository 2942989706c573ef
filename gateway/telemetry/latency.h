// How latencies become histograms.
#pragma once

#include <prometheus/histogram.h>

#include <chrono>

namespace allod::gateway::telemetry {

inline double Seconds(std::chrono::nanoseconds elapsed) { return std::chrono::duration<double>(elapsed).count(); }

inline const prometheus::Histogram::BucketBoundaries& LatencyBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                               0.5,   1,      2.5,   5,    10,    30,   60,  300};
  return buckets;
}

}  // namespace allod::gateway::telemetry
