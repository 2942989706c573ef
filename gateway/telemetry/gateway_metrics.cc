#include "gateway/telemetry/gateway_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <string>

#include "gateway/telemetry/latency.h"
#include "services/common/metrics.h"

namespace allod::gateway::telemetry {
namespace {

using std::chrono::nanoseconds;

prometheus::Family<prometheus::Counter>& CounterFamily(const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(Metrics());
}

prometheus::Gauge& PlainGauge(const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(Metrics()).Add({});
}

}  // namespace

void CountHttpRequest(std::string_view route, int status, nanoseconds elapsed) {
  static auto& requests = CounterFamily("allod_http_requests_total", "HTTP requests answered, by route and status.");
  static auto& seconds = prometheus::BuildHistogram()
                             .Name("allod_http_request_seconds")
                             .Help("Time from the request's head to the end of its answer.")
                             .Register(Metrics());
  requests.Add({{"route", std::string(route)}, {"status", std::to_string(status)}}).Increment();
  seconds.Add({{"route", std::string(route)}}, LatencyBuckets()).Observe(Seconds(elapsed));
}

void CountLimited(std::string_view level, bool shadow) {
  static auto& family = CounterFamily("allod_gateway_limited_total",
                                      "Requests that a limit refused or, in shadow, would have, by whose it is.");
  family.Add({{"level", std::string(level)}, {"shadow", shadow ? "true" : "false"}}).Increment();
}

void CountTargetOutsideResidency() {
  static auto& counter =
      CounterFamily("allod_gateway_targets_outside_residency_total",
                    "Targets of routes that were left out, because their tenant's data may not be there.")
          .Add({});
  counter.Increment();
}

void CountSettlement(std::string_view result) {
  static auto& family = CounterFamily("allod_gateway_settlements_total", "Attempts to settle with billing, by result.");
  family.Add({{"result", std::string(result)}}).Increment();
}

void SetJournalSlotsUsed(int count) {
  static auto& gauge = PlainGauge("allod_gateway_journal_slots_used", "Requests that billing has not confirmed yet.");
  gauge.Set(count);
}

void SetSettlementsRefused(int count) {
  static auto& gauge = PlainGauge("allod_gateway_settlements_refused",
                                  "Settlements that billing refuses; kept in the journal and tried again.");
  gauge.Set(count);
}

void SetConnections(int count) {
  static auto& gauge = PlainGauge("allod_gateway_connections", "Open client connections.");
  gauge.Set(count);
}

void CountLeaseAdjustment(std::string_view result) {
  static auto& family =
      CounterFamily("allod_gateway_lease_adjustments_total", "Calls that adjusted a lease of money, by result.");
  family.Add({{"result", std::string(result)}}).Increment();
}

void CountLeaseWait() {
  static auto& waits = CounterFamily("allod_gateway_lease_waits_total",
                                     "Requests that had to wait for money because their tenant's lease was short.")
                           .Add({});
  waits.Increment();
}

void CountLeaseRefusal(std::string_view reason) {
  static auto& family =
      CounterFamily("allod_gateway_lease_refusals_total", "Requests that waited for money in vain, by reason.");
  family.Add({{"reason", std::string(reason)}}).Increment();
}

void SetLeases(int count) {
  static auto& gauge = PlainGauge("allod_gateway_leases", "Tenants whose money this gateway has a lease of.");
  gauge.Set(count);
}

void SetLeaseFree(const std::string& currency, double amount) {
  static auto& family = prometheus::BuildGauge()
                            .Name("allod_gateway_lease_free")
                            .Help("What of all leases no request has taken, by currency, in its major units.")
                            .Register(Metrics());
  family.Add({{"currency", currency}}).Set(amount);
}

}  // namespace allod::gateway::telemetry
