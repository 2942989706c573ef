#include "gateway/gateway.h"

#include <optional>

#include "gateway/openai_handlers.h"
#include "gateway/openapi.h"
#include "gateway/pool_figures.h"
#include "gateway/portal_handler.h"
#include "gateway/probes.h"
#include "gateway/rate_lease.h"
#include "gateway/router.h"
#include "services/common/rpc/client.h"

namespace allod::gateway {

using std::chrono::milliseconds;

namespace {

// What billing may need for a reservation that it took up just before the gateway gave up waiting.
constexpr milliseconds kReserveGrace(5000);

}  // namespace

// In order of construction: each part refers only to those above it.
struct Gateway::Impl {
  Impl(const GatewayConfig& gateway_config, const std::string& pepper, std::unique_ptr<Journal> opened,
       Transcoder built)
      : config(gateway_config),
        backends{MakeChannel(config.tenancy_target), MakeChannel(config.catalog_target),
                 MakeChannel(config.billing_target), MakeChannel(config.scheduling_target)},
        keys(pepper),
        limiter(config.rate_limits),
        journal(std::move(opened)),
        settler(*journal, backends.billing, milliseconds(config.reserve_timeout_ms) + kReserveGrace),
        usage(billing::v1::UsageService::NewStub(backends.billing)),
        serving{config, routes, *usage, WaitingRoom(config.waiting_per_instance_max)},
        openai(keys, limiter, *journal, settler, serving),
        transcoder(std::move(built)),
        portal(keys, limiter, transcoder, backends, milliseconds(config.portal_timeout_ms)),
        pool(backends.scheduling),
        probes(keys, routes, *journal, backends.billing, pool, OpenApiJson(transcoder)) {
    if (!config.redis_url.empty()) lease.emplace(RedisConfig{config.redis_url}, limiter);
    AddRoutes();
    watches[0] = WatchApiKeys(backends.tenancy, keys);
    watches[1] = WatchRoutes(backends.scheduling, routes);
  }

  void AddRoutes();

  const GatewayConfig config;
  const PortalBackends backends;
  ApiKeyTable keys;
  RouteTable routes;
  RateLimiter limiter;
  std::optional<RateLease> lease;
  const std::unique_ptr<Journal> journal;
  Settler settler;
  const std::unique_ptr<billing::v1::UsageService::Stub> usage;
  ServingContext serving;
  OpenAiHandlers openai;
  const Transcoder transcoder;
  PortalHandler portal;
  PoolFigures pool;
  Probes probes;
  Router router;
  std::unique_ptr<WatchLoop> watches[2];
  std::unique_ptr<HttpServer> server;
};

void Gateway::Impl::AddRoutes() {
  const auto add = [this](const char* method, const char* path, auto& handlers, auto member) {
    router.Add(method, path, path, [&handlers, member](HttpRequest& request, ResponseWriter& out) {
      return (handlers.*member)(request, out);
    });
  };
  add("POST", "/v1/chat/completions", openai, &OpenAiHandlers::ChatCompletions);
  add("POST", "/v1/completions", openai, &OpenAiHandlers::Completions);
  add("POST", "/v1/embeddings", openai, &OpenAiHandlers::Embeddings);
  add("GET", "/v1/models", openai, &OpenAiHandlers::ListModels);
  add("GET", "/v1/models/*", openai, &OpenAiHandlers::RetrieveModel);
  add("GET", "/healthz", probes, &Probes::Health);
  add("GET", "/readyz", probes, &Probes::Ready);
  add("GET", "/metrics", probes, &Probes::MetricsPage);
  add("GET", "/openapi.json", probes, &Probes::OpenApi);
  router.AddPrefix(std::string(kPortalPrefix) + "/v1/", "/portal/v1",
                   [this](HttpRequest& request, ResponseWriter& out) { return portal.Handle(request, out); });
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Gateway>> Gateway::Start(const GatewayConfig& config, const std::string& api_key_pepper) {
  ALLOD_TRY(auto journal, Journal::Open(config.journal_dir, config.journal_slots,
                                        static_cast<std::uint32_t>(billing::v1::OUTCOME_GATEWAY_LOST)));
  ALLOD_TRY(auto transcoder, Transcoder::Build(PortalServices()));
  auto impl = std::make_unique<Impl>(config, api_key_pepper, std::move(journal), std::move(transcoder));
  ALLOD_TRY(impl->server,
            HttpServer::Start(config.http, [router = &impl->router](HttpRequest& request, ResponseWriter& out) {
              return router->Handle(request, out);
            }));
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Gateway::~Gateway() { Stop(); }

void Gateway::Stop() {
  impl_->server->Stop(milliseconds(1000));
  for (const auto& watch : impl_->watches) watch->Stop();
  if (impl_->lease) impl_->lease->Stop();
  impl_->settler.Stop(milliseconds(500));
}

int Gateway::port() const { return impl_->server->port(); }

std::size_t Gateway::pending_settlements() const { return impl_->settler.pending(); }

}  // namespace allod::gateway
