// Prometheus metrics of this process (prometheus-cpp): base units, bounded labels, never a key or a user's id in a
// label.
#pragma once

#include <prometheus/registry.h>

#include <chrono>
#include <memory>
#include <string>

#include "services/common/result.h"

namespace allod {

// The process's registry. Thread-safe.
prometheus::Registry& Metrics();
// Text exposition format 0.0.4.
std::string MetricsText();

// Counts and times one RPC: allod_rpc_total{method,code}, allod_rpc_seconds{method}.
class RpcObservation {
 public:
  explicit RpcObservation(const char* method);
  void Finish(Code code);
  const char* method() const { return method_; }

 private:
  const char* method_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace allod
