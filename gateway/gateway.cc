#include "gateway/gateway.h"

#include <optional>

#include "gateway/access/rate_lease.h"
#include "gateway/http/router.h"
#include "gateway/metering/billing_funds.h"
#include "gateway/openai/handlers.h"
#include "gateway/operators/pool_figures.h"
#include "gateway/operators/probes.h"
#include "gateway/portal/handler.h"
#include "gateway/portal/openapi.h"
#include "services/common/rpc/client.h"

namespace allod::gateway {

using std::chrono::milliseconds;

namespace {

// What billing may need for a reservation that it took up just before the gateway gave up waiting.
constexpr milliseconds kReserveGrace(5000);

// Few ask there, and nobody sends anything.
http::ServerConfig OperatorsHttp(const GatewayConfig& config) {
  http::ServerConfig out;
  out.listen = config.operators_listen;
  out.threads = 1;
  out.connections_max = out.connections_per_address_max = 64;
  out.hosts_are_addresses = true;
  out.show_connection_count = false;
  return out;
}

}  // namespace

// In order of construction: each part refers only to those above it.
struct Gateway::Impl {
  Impl(const GatewayConfig& gateway_config, const std::string& pepper, std::unique_ptr<metering::Journal> opened,
       portal::Transcoder built)
      : config(gateway_config),
        backends{MakeChannel(config.tenancy_target), MakeChannel(config.catalog_target),
                 MakeChannel(config.billing_target), MakeChannel(config.scheduling_target)},
        keys(pepper),
        limiter(config.rate_limits),
        journal(std::move(opened)),
        settler(*journal, backends.billing,
                (1 + metering::kFullPatience) * milliseconds(config.serving.reserve_timeout_ms) + kReserveGrace),
        funds(backends.billing, milliseconds(config.serving.reserve_timeout_ms)),
        serving{config.serving, milliseconds(config.http.request_timeout_ms), routes, funds,
                serving::WaitingRoom(config.serving.waiting_per_instance_max)},
        openai(keys, limiter, *journal, settler, serving),
        transcoder(std::move(built)),
        portal(keys, limiter, transcoder, backends, milliseconds(config.portal_timeout_ms)),
        pool(backends.scheduling),
        probes(keys, routes, *journal, backends.billing, pool, portal::OpenApiJson(transcoder)),
        bodies(config.body_bytes_in_flight_max),
        router(http::Cors(config.cors_allowed_origins),
               [this](std::string_view authorization) { return AccountOf(authorization); }),
        operators_router(http::Cors(std::vector<std::string>()), nullptr) {
    if (!config.redis_url.empty()) lease.emplace(RedisConfig{config.redis_url}, limiter);
    AddRoutes();
    AddOperatorsRoutes();
    watches[0] = access::WatchApiKeys(backends.tenancy, keys);
    watches[1] = serving::WatchRoutes(backends.scheduling, routes);
  }

  void AddRoutes();
  // What tells of all tenants.
  void AddOperatorsRoutes();
  Result<http::BodyAccount> AccountOf(std::string_view authorization) const {
    ALLOD_TRY(access::Principal principal, keys.Authenticate(authorization));
    return http::BodyAccount{std::move(principal.tenant), std::move(principal.kid)};
  }
  template <typename Handlers>
  static void Add(http::Router& to, const char* method, const char* path, http::Router::Access access,
                  Handlers& handlers,
                  http::Awaitable<void> (Handlers::*member)(http::Request&, http::ResponseWriter&)) {
    to.Add(method, path, path, access, [&handlers, member](http::Request& request, http::ResponseWriter& out) {
      return (handlers.*member)(request, out);
    });
  }

  const GatewayConfig config;
  const portal::PortalBackends backends;
  access::ApiKeyTable keys;
  serving::RouteTable routes;
  access::RateLimiter limiter;
  std::optional<access::RateLease> lease;
  const std::unique_ptr<metering::Journal> journal;
  metering::Settler settler;
  metering::BillingFunds funds;
  serving::Context serving;
  openai::Handlers openai;
  const portal::Transcoder transcoder;
  portal::Handler portal;
  operators::PoolFigures pool;
  operators::Probes probes;
  http::BodyBudget bodies;
  http::Router router;
  http::Router operators_router;
  std::unique_ptr<feeds::WatchLoop> watches[2];
  std::unique_ptr<http::Server> server;
  std::unique_ptr<http::Server> operators_server;
};

void Gateway::Impl::AddRoutes() {
  constexpr auto kKey = http::Router::Access::kKey;
  constexpr auto kOpen = http::Router::Access::kOpen;
  Add(router, "POST", "/v1/chat/completions", kKey, openai, &openai::Handlers::ChatCompletions);
  Add(router, "POST", "/v1/completions", kKey, openai, &openai::Handlers::Completions);
  Add(router, "POST", "/v1/embeddings", kKey, openai, &openai::Handlers::Embeddings);
  Add(router, "GET", "/v1/models", kKey, openai, &openai::Handlers::ListModels);
  Add(router, "GET", "/v1/models/*", kKey, openai, &openai::Handlers::RetrieveModel);
  Add(router, "GET", "/healthz", kOpen, probes, &operators::Probes::Health);
  Add(router, "GET", "/readyz", kOpen, probes, &operators::Probes::Ready);
  Add(router, "GET", "/openapi.json", kOpen, probes, &operators::Probes::OpenApi);
  router.AddPrefix(
      std::string(portal::kPortalPrefix) + "/v1/", "/portal/v1",
      [this](std::string_view path) { return portal.MethodsOf(path); },
      [this](http::Request& request, http::ResponseWriter& out) { return portal.Handle(request, out); });
}

void Gateway::Impl::AddOperatorsRoutes() {
  constexpr auto kOpen = http::Router::Access::kOpen;
  Add(operators_router, "GET", "/metrics", kOpen, probes, &operators::Probes::MetricsPage);
  Add(operators_router, "GET", "/healthz", kOpen, probes, &operators::Probes::Health);
  Add(operators_router, "GET", "/readyz", kOpen, probes, &operators::Probes::Ready);
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Gateway>> Gateway::Start(const GatewayConfig& config, const std::string& api_key_pepper) {
  ALLOD_TRY(auto journal, metering::Journal::Open(config.journal_dir, config.journal_slots,
                                                  static_cast<std::uint32_t>(billing::v1::OUTCOME_GATEWAY_LOST)));
  ALLOD_TRY(auto transcoder, portal::Transcoder::Build(portal::PortalServices()));
  auto impl = std::make_unique<Impl>(config, api_key_pepper, std::move(journal), std::move(transcoder));
  ALLOD_TRY(impl->operators_server, http::Server::Start(OperatorsHttp(config), impl->operators_router, impl->bodies));
  ALLOD_TRY(impl->server, http::Server::Start(config.http, impl->router, impl->bodies));
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Gateway::~Gateway() { Stop(); }

void Gateway::Stop() {
  impl_->server->Stop(milliseconds(1000));
  impl_->operators_server->Stop(milliseconds(0));
  for (const auto& watch : impl_->watches) watch->Stop();
  if (impl_->lease) impl_->lease->Stop();
  impl_->settler.Stop(milliseconds(500));
}

int Gateway::port() const { return impl_->server->port(); }

int Gateway::operators_port() const { return impl_->operators_server->port(); }

std::size_t Gateway::pending_settlements() const { return impl_->settler.pending(); }

}  // namespace allod::gateway
