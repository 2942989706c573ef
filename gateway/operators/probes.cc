#include "gateway/operators/probes.h"

#include <fmt/format.h>

#include "gateway/telemetry/gateway_metrics.h"
#include "services/common/metrics.h"

namespace allod::gateway::operators {
namespace {

// Of a figure to look at; no money is reckoned with it.
constexpr double kPicoPerUnit = 1e12;

// Gives a channel that was idle a moment to connect.
http::Awaitable<bool> Reachable(grpc::Channel& channel) {
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  http::Wakeup wakeup(executor);
  for (int i = 0; i < 20; ++i) {
    if (channel.GetState(true) == GRPC_CHANNEL_READY) co_return true;
    co_await wakeup.Wait(std::chrono::steady_clock::now() + std::chrono::milliseconds(25));
  }
  co_return false;
}

}  // namespace

http::Awaitable<void> Probes::Health(http::Request&, http::ResponseWriter& out) {
  http::Response response;
  response.body = R"({"status":"ok"})";
  co_await out.Send(std::move(response));
}

http::Awaitable<void> Probes::Ready(http::Request&, http::ResponseWriter& out) {
  const bool keys = keys_.synced();
  const bool workloads = trust_.synced();
  const bool routes = routes_.synced();
  const bool billing = co_await Reachable(*billing_);
  http::Response response;
  response.status = keys && workloads && routes && billing ? 200 : 503;
  response.body = fmt::format(
      R"({{"status":"{}","keys_synced":{},"identities_synced":{},"routes_synced":{},"billing_reachable":{}}})",
      response.status == 200 ? "ready" : "not ready", keys, workloads, routes, billing);
  if (response.status == 503) response.headers.emplace_back("retry-after", "1");
  co_await out.Send(std::move(response));
}

http::Awaitable<void> Probes::MetricsPage(http::Request&, http::ResponseWriter& out) {
  telemetry::SetJournalSlotsUsed(journal_.used_count());
  const metering::EscrowFunds::Figures leases = funds_.figures();
  telemetry::SetLeases(leases.leases);
  for (const auto& [currency, free] : leases.free) {
    telemetry::SetLeaseFree(currency, static_cast<double>(free.pico()) / kPicoPerUnit);
  }
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = MetricsText();
  response.body += co_await pool_.Text(out);
  co_await out.Send(std::move(response));
}

http::Awaitable<void> Probes::OpenApi(http::Request&, http::ResponseWriter& out) {
  http::Response response;
  response.body = openapi_json_;
  co_await out.Send(std::move(response));
}

}  // namespace allod::gateway::operators
