#include "gateway/gateway.h"

#include <functional>
#include <optional>

#include "gateway/access/admission.h"
#include "gateway/access/credentials.h"
#include "gateway/access/route_guard.h"
#include "gateway/federation/keys_with_roles.h"
#include "gateway/federation/token_endpoint.h"
#include "gateway/federation/workload_tokens.h"
#include "gateway/http/router.h"
#include "gateway/metering/escrow_funds.h"
#include "gateway/openai/handlers.h"
#include "gateway/operators/pool_figures.h"
#include "gateway/operators/probes.h"
#include "gateway/portal/handler.h"
#include "gateway/portal/openapi.h"
#include "gateway/sign_in/endpoints.h"
#include "gateway/sign_in/sessions.h"
#include "services/common/rpc/client.h"
#include "services/common/web/curl_fetcher.h"

namespace allod::gateway {

using std::chrono::milliseconds;

namespace {

// What billing may have needed for a reservation that it took up just before a gateway of before leases gave up
// waiting.
constexpr milliseconds kReserveGrace(5000);

constexpr char kSignOutPath[] = "/auth/sign-out";

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

void AddOpen(http::Router& router, const char* path, http::Router::Handler handler) {
  router.Add("GET", path, path, http::Router::Access::kOpen, std::move(handler));
}

}  // namespace

// In order of construction: each part refers only to those above it.
struct Gateway::Impl {
  Impl(const GatewayConfig& gateway_config, const std::string& pepper, std::unique_ptr<metering::Journal> opened,
       portal::Transcoder built)
      : config(gateway_config),
        backends{MakeChannel(config.tenancy_target), MakeChannel(config.catalog_target),
                 MakeChannel(config.billing_target), MakeChannel(config.scheduling_target)},
        keys(pepper, clock, key_uses),
        sealer(pepper),
        workloads(trust, sealer, clock),
        session_sealer(pepper),
        sessions(trust, session_sealer, clock, config.session_times.idle),
        keys_with_roles(keys, trust),
        credentials({{federation::kWorkloadTokenPrefix, &workloads}, {sign_in::kSessionTokenPrefix, &sessions}},
                    keys_with_roles),
        guard(credentials, sign_in::BrowserCredentialOf(config.public_url, config.session_times)),
        sessions_to_end(sessions),
        credentials_to_end(
            {{federation::kWorkloadTokenPrefix, &workloads}, {sign_in::kSessionTokenPrefix, &sessions_to_end}},
            keys_with_roles),
        guard_of_end(credentials_to_end, sign_in::BrowserCredentialOf(config.public_url, config.session_times)),
        fetcher(AddressPolicy(config.issuer_networks_allowed), config.issuer_ca_file),
        issuer_keys(fetcher, config.issuer_keys),
        verifier(issuer_keys, clock),
        tokens(trust, verifier, sealer, clock,
               {config.exchanges_per_minute_of_address, config.exchanges_per_minute_of_tenant}),
        refusals(backends.tenancy, trust),
        session_starter(backends.tenancy, trust, verifier, session_sealer, refusals, clock, config.session_times),
        attempt_sealer(pepper),
        people({config.public_url, config.exchanges_per_minute_of_address}, backends.tenancy, trust, verifier, fetcher,
               session_starter, refusals, session_sealer, attempt_sealer, clock, config.session_times),
        pushed_keys(keys, limits),
        admission(config.rate_limits, limits,
                  config.redis_url.empty() ? std::nullopt : std::optional(RedisConfig{config.redis_url})),
        journal(std::move(opened)),
        funds(backends.billing, journal->gateway_id(), milliseconds(config.serving.reserve_timeout_ms)),
        settler(*journal, backends.billing,
                (1 + metering::kFullPatience) * milliseconds(config.serving.reserve_timeout_ms) + kReserveGrace,
                {.settled = std::bind_front(&Impl::OnSettled, this),
                 .slices_of =
                     [this](const metering::Settlement& settlement) {
                       return funds.SlicesOf(settlement.entry.tenant, settlement.terms->lease_id,
                                             settlement.entry.request_id);
                     },
                 .earlier_settled = [this] { funds.EndEarlierLeases(); }}),
        serving{config.serving,
                milliseconds(config.http.request_timeout_ms),
                routes,
                funds,
                serving::WaitingRoom(config.serving.waiting_per_instance_max),
                config.jurisdiction},
        openai(admission, *journal, settler, serving),
        transcoder(std::move(built)),
        portal(admission, limits, transcoder, backends, milliseconds(config.portal_timeout_ms)),
        pool(backends.scheduling),
        probes(keys, trust, routes, *journal, funds, backends.billing, pool,
               portal::OpenApiJson(transcoder, sign_in::BrowserCredentialOf(config.public_url, {}).cookie)),
        bodies(config.body_bytes_in_flight_max),
        router(http::Cors(config.cors_allowed_origins),
               [this](const http::Request& head) {
                 return (head.path == kSignOutPath ? guard_of_end : guard).AccountOf(head);
               }),
        operators_router(http::Cors(std::vector<std::string>()), nullptr) {
    AddRoutes();
    AddOperatorsRoutes();
    watches[0] = access::WatchApiKeys(backends.tenancy, pushed_keys);
    watches[1] = serving::WatchRoutes(backends.scheduling, routes);
    key_use_reporter = access::ReportKeyUses(backends.tenancy, key_uses, milliseconds(config.key_use_report_ms));
    watches[2] = federation::WatchIdentities(backends.tenancy, trust);
  }

  void OnSettled(const metering::Settlement& settlement, Amount cost);
  void AddRoutes();
  // What tells of all tenants.
  void AddOperatorsRoutes();
  void AddSignIn();
  void AddGuarded(std::optional<access::Scope> needed, const char* method, const char* path,
                  access::RouteGuard::Handler handler) {
    router.Add(method, path, path, http::Router::Access::kKey, guard.Guard(needed, std::move(handler)));
  }

  const GatewayConfig config;
  const portal::PortalBackends backends;
  const SystemClock clock;
  access::KeyUses key_uses;
  access::ApiKeyTable keys;
  federation::TrustTable trust;
  const federation::WorkloadTokenSealer sealer;
  const federation::WorkloadTokens workloads;
  const sign_in::SessionSealer session_sealer;
  const sign_in::Sessions sessions;
  const federation::KeysWithRoles keys_with_roles;
  const access::Credentials credentials;
  const access::RouteGuard guard;
  // Of signing out, which is for people of suspended tenants too.
  const sign_in::SessionsToEnd sessions_to_end;
  const access::Credentials credentials_to_end;
  const access::RouteGuard guard_of_end;
  CurlFetcher fetcher;
  federation::IssuerKeys issuer_keys;
  federation::TokenVerifier verifier;
  federation::TokenEndpoint tokens;
  sign_in::Refusals refusals;
  sign_in::SessionStarter session_starter;
  const sign_in::AttemptSealer attempt_sealer;
  sign_in::Endpoints people;
  serving::RouteTable routes;
  access::LimitTable limits;
  access::PushedKeys pushed_keys;
  access::Admission admission;
  const std::unique_ptr<metering::Journal> journal;
  metering::EscrowFunds funds;
  metering::Settler settler;
  serving::Context serving;
  openai::Handlers openai;
  const portal::Transcoder transcoder;
  portal::Handler portal;
  operators::PoolFigures pool;
  operators::Probes probes;
  http::BodyBudget bodies;
  http::Router router;
  http::Router operators_router;
  std::unique_ptr<WatchLoop> watches[3];
  std::unique_ptr<access::KeyUseReporter> key_use_reporter;
  std::unique_ptr<http::Server> server;
  std::unique_ptr<http::Server> operators_server;
};

void Gateway::Impl::OnSettled(const metering::Settlement& settlement, Amount cost) {
  const metering::LeaseTerms& terms = *settlement.terms;
  const Amount held = metering::CostOf(terms.prices, terms.bounds).value_or(cost);
  funds.Settle(settlement.entry.tenant, terms.lease_id, held, cost, settlement.entry.request_id);
}

void Gateway::Impl::AddRoutes() {
  using openai::Handlers;
  constexpr auto kInference = access::Scope::kInference;
  AddGuarded(kInference, "POST", "/v1/chat/completions", std::bind_front(&Handlers::ChatCompletions, &openai));
  AddGuarded(kInference, "POST", "/v1/completions", std::bind_front(&Handlers::Completions, &openai));
  AddGuarded(kInference, "POST", "/v1/embeddings", std::bind_front(&Handlers::Embeddings, &openai));
  AddGuarded(kInference, "GET", "/v1/models", std::bind_front(&Handlers::ListModels, &openai));
  AddGuarded(kInference, "GET", "/v1/models/*", std::bind_front(&Handlers::RetrieveModel, &openai));
  router.Add("POST", "/oauth/token", "/oauth/token", http::Router::Access::kForm,
             std::bind_front(&federation::TokenEndpoint::Handle, &tokens));
  AddSignIn();
  AddOpen(router, "/healthz", std::bind_front(&operators::Probes::Health, &probes));
  AddOpen(router, "/readyz", std::bind_front(&operators::Probes::Ready, &probes));
  AddOpen(router, "/openapi.json", std::bind_front(&operators::Probes::OpenApi, &probes));
  router.AddPrefix(
      std::string(portal::kPortalPrefix) + "/v1/", "/portal/v1",
      [this](std::string_view path) { return portal.MethodsOf(path); },
      guard.Guard(access::Scope::kPortal, std::bind_front(&portal::Handler::Handle, &portal)));
}

void Gateway::Impl::AddSignIn() {
  using sign_in::Endpoints;
  AddOpen(router, "/auth/providers", std::bind_front(&Endpoints::Providers, &people));
  AddOpen(router, "/auth/sign-in", std::bind_front(&Endpoints::SignIn, &people));
  AddOpen(router, "/auth/callback", std::bind_front(&Endpoints::Callback, &people));
  router.Add("POST", "/auth/session", "/auth/session", http::Router::Access::kForm,
             std::bind_front(&Endpoints::BeginSession, &people));
  router.Add("POST", kSignOutPath, kSignOutPath, http::Router::Access::kKey,
             guard_of_end.Guard(std::nullopt, std::bind_front(&Endpoints::SignOut, &people)));
  AddGuarded(std::nullopt, "GET", "/auth/whoami", std::bind_front(&Endpoints::WhoAmI, &people));
}

void Gateway::Impl::AddOperatorsRoutes() {
  AddOpen(operators_router, "/metrics", std::bind_front(&operators::Probes::MetricsPage, &probes));
  AddOpen(operators_router, "/healthz", std::bind_front(&operators::Probes::Health, &probes));
  AddOpen(operators_router, "/readyz", std::bind_front(&operators::Probes::Ready, &probes));
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
  impl_->fetcher.Stop();
  impl_->key_use_reporter->Stop();
  impl_->admission.Stop();
  impl_->settler.Stop(milliseconds(500));
  impl_->funds.Stop(milliseconds(300));
}

int Gateway::port() const { return impl_->server->port(); }

int Gateway::operators_port() const { return impl_->operators_server->port(); }

std::size_t Gateway::pending_settlements() const { return impl_->settler.pending(); }

}  // namespace allod::gateway
