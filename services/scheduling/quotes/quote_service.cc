#include "services/scheduling/quotes/quote_service.h"

#include <fmt/format.h>

#include "services/common/rpc/server.h"
#include "services/scheduling/convert.h"
#include "services/scheduling/quotes/convert_quote.h"

namespace allod::scheduling::quotes {
namespace {

// The database keeps what fits on a screen.
constexpr std::size_t kMisfitBytesMax = 1024;

// Whether `asked`, with what was left out filled in, is what was quoted.
bool AsksFor(InstanceSpec asked, const InstanceSpec& quoted) {
  if (asked.replicas == 0) asked.replicas = quoted.replicas;
  if (asked.context_tokens == 0) asked.context_tokens = quoted.context_tokens;
  if (asked.max_concurrency == 0) asked.max_concurrency = quoted.max_concurrency;
  return asked == quoted;
}

}  // namespace

Result<std::string> QuoteServiceImpl::Misfit(const Quote& quote, const Accepted& accepted) {
  const std::string name = quote.project + "/instances/quoted";
  ALLOD_TRY(const QuotaScopes others, store_.ReadUse(quote.tenant, quote.project, name));
  if (const Status room = CheckQuotas(name, accepted.quotas, others, nullptr, accepted.revision); !room) {
    return room.error().message;
  }
  const Time now = clock_.Now();
  const RegionBoard::Seen seen = regions_.Read();
  ALLOD_CHECK_OK(CheckRead(seen));
  const InstanceSpec& spec = accepted.revision.spec;
  scheduler::Snapshot snapshot{.now = now, .regions = seen.regions->places, .nodes = driver_.Capacity(now)};
  snapshot.instances.push_back({.id = quote.id,
                                .version = 1,
                                .generation = 1,
                                .region = spec.region,
                                .residency = accepted.residency,
                                .replicas = spec.replicas,
                                .demand = accepted.revision.demand,
                                .one_per_node = spec.isolation_class == IsolationClass::kPooled});
  ALLOD_TRY(snapshot.neighbours, quotes_.ListPlaced());
  const scheduler::Plan plan = driver_.MakePlan(snapshot);
  if (plan.unplaced.empty()) return std::string();
  return plan.unplaced[0].reason.substr(0, kMisfitBytesMax);
}

Result<Quote> QuoteServiceImpl::Make(const Quote& asked) {
  // The same request again: what was said stands, whatever has changed since.
  const auto earlier = quotes_.GetQuote(asked.tenant, asked.id);
  if (!earlier && earlier.error().code != Code::kNotFound) return earlier;
  if (earlier) {
    Quote same = asked;
    if (AsksFor(asked.spec, earlier->spec)) same.spec = earlier->spec;
    ALLOD_CHECK_OK(CheckSameAsked(*earlier, same));
    return earlier;
  }
  ALLOD_TRY(const Accepted accepted, acceptor_.AcceptForQuote(asked.project, asked.spec));
  Quote quote = asked;
  quote.spec = accepted.revision.spec;
  quote.prices = accepted.prices;
  ALLOD_TRY(quote.monthly, CostOf(quote.prices, quote.use, quote.spec.replicas));
  ALLOD_TRY(quote.misfit, Misfit(quote, accepted));
  return quotes_.AddQuote(quote, TenantOf(quote.project));
}

grpc::Status QuoteServiceImpl::CreateQuote(grpc::ServerContext* context, const v1::CreateQuoteRequest* request,
                                           v1::Quote* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Quote> {
    ALLOD_CHECK_OK(MatchName("parent", request->parent(), "tenants/*/projects/*"));
    Quote asked;
    asked.project = request->parent();
    ALLOD_TRY(asked.tenant, TenantId::FromName(asked.project));
    ALLOD_TRY(asked.spec, SpecFrom(request->quote().spec()));
    ALLOD_CHECK_OK(CheckSpec(asked.spec));
    if (!asked.spec.quote.empty()) {
      return InvalidArgument("INVALID_SPEC",
                             "quote.spec.quote: a quote is made at the listing's prices; leave it empty");
    }
    ALLOD_TRY(asked.use, UseFrom(request->quote().use()));
    const Time now = clock_.Now();
    asked.id = Uuid::V7(now);
    if (!request->request_id().empty()) {
      ALLOD_TRY(const Uuid request_id, Uuid::Parse(request->request_id()));
      asked.id = Uuid::FromName(fmt::format("{}/quotes/{}", asked.project, request_id.ToString()));
    }
    asked.create_time = FloorToMicros(now);
    asked.expire_time = asked.create_time + kQuoteLasts;
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    return InTurn(gates_.writes, call, [&]() -> Result<v1::Quote> {
      ALLOD_TRY(const Quote quote, Make(asked));
      return ToProto(quote);
    });
  });
}

grpc::Status QuoteServiceImpl::GetQuote(grpc::ServerContext* context, const v1::GetQuoteRequest* request,
                                        v1::Quote* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Quote> {
    ALLOD_TRY(const Uuid id, QuoteIdOf("name", request->name()));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Quote quote, quotes_.GetQuote(tenant, id));
    // Of another project it is not there.
    if (quote.name() != request->name()) return NotFound(request->name() + " does not exist");
    return ToProto(quote);
  });
}

grpc::Status QuoteServiceImpl::ListQuotes(grpc::ServerContext* context, const v1::ListQuotesRequest* request,
                                          v1::ListQuotesResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListQuotesResponse> {
    ALLOD_CHECK_OK(MatchName("parent", request->parent(), "tenants/*/projects/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->parent()));
    ALLOD_TRY(const PageRequest page,
              ParsePage("quotes of " + request->parent(), request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(auto found, quotes_.ListQuotes(tenant, request->parent(), page));
    const auto listed = MakePage(page, std::move(found), [](const Quote& quote) { return quote.id.ToString(); });
    v1::ListQuotesResponse out;
    for (const Quote& quote : listed.items) *out.add_quotes() = ToProto(quote);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

}  // namespace allod::scheduling::quotes
