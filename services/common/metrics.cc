#include "services/common/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

namespace allod {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                          0.1,    0.25,  0.5,    1,     2.5,  5,     10};

prometheus::Family<prometheus::Counter>& RpcTotal() {
  static auto& family =
      prometheus::BuildCounter().Name("allod_rpc_total").Help("RPCs answered, by method and code").Register(Metrics());
  return family;
}

prometheus::Family<prometheus::Histogram>& RpcSeconds() {
  static auto& family =
      prometheus::BuildHistogram().Name("allod_rpc_seconds").Help("Time to answer an RPC").Register(Metrics());
  return family;
}

}  // namespace

prometheus::Registry& Metrics() {
  // Never destroyed: threads may count while the process ends.
  static auto* registry = new prometheus::Registry;
  return *registry;
}

std::string MetricsText() { return prometheus::TextSerializer().Serialize(Metrics().Collect()); }

RpcObservation::RpcObservation(const char* method) : method_(method), start_(std::chrono::steady_clock::now()) {}

void RpcObservation::Finish(Code code) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  RpcTotal().Add({{"method", method_}, {"code", std::string(CodeName(code))}}).Increment();
  RpcSeconds().Add({{"method", method_}}, kSeconds).Observe(elapsed.count());
}

}  // namespace allod
