#include "services/scheduling/quotes/pg_quote_store.h"

#include <fmt/format.h>

#include "services/common/pg/row_reader.h"
#include "services/scheduling/pg_rows.h"

namespace allod::scheduling::quotes {
namespace {

constexpr const char* kQuoteColumns =
    "q.id, q.project, q.listing, q.variant, q.region, q.isolation_class, q.replicas, q.context_tokens, "
    "q.max_concurrency, q.sleep_after_seconds, q.requests_per_day, q.prompt_tokens, q.completion_tokens, "
    "q.hours_per_day, q.price_book, q.currency_code, q.prompt_price, q.completion_price, q.second_price, "
    "q.token_cost, q.time_cost, q.misfit, " ALLOD_MICROS("q.create_time") ", " ALLOD_MICROS("q.expire_time");
constexpr const char* kInsertTenantOfQuote =
    "INSERT INTO scheduling.tenants (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING";
constexpr const char* kLockTenantOfQuote = "SELECT 1 FROM scheduling.tenants WHERE id = $1 FOR NO KEY UPDATE";
constexpr const char* kForgetOldQuotes =
    "DELETE FROM scheduling.quotes WHERE tenant_id = $1 AND id IN (SELECT q.id FROM scheduling.quotes q "
    "WHERE q.tenant_id = $1 AND q.expire_time < " ALLOD_FROM_MICROS("$2") " AND NOT EXISTS (SELECT 1 FROM "
    "scheduling.revisions r WHERE r.tenant_id = q.tenant_id AND r.quote = q.project || '/quotes/' || q.id) "
    "ORDER BY q.expire_time LIMIT 100)";
constexpr const char* kCountOpenQuotes =
    "SELECT count(*) FROM scheduling.quotes WHERE tenant_id = $1 AND expire_time > " ALLOD_FROM_MICROS("$2");
constexpr const char* kInsertQuote =
    "INSERT INTO scheduling.quotes (tenant_id, id, project, listing, variant, region, isolation_class, replicas, "
    "context_tokens, max_concurrency, sleep_after_seconds, requests_per_day, prompt_tokens, completion_tokens, "
    "hours_per_day, price_book, currency_code, prompt_price, completion_price, second_price, token_cost, time_cost, "
    "misfit, create_time, expire_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
    "$17, $18::numeric, $19::numeric, $20::numeric, $21::numeric, $22::numeric, $23, " ALLOD_FROM_MICROS(
        "$24") ", " ALLOD_FROM_MICROS("$25") ")";
constexpr const char* kListPlaced =
    "SELECT replica_id, node, epoch, memory_bytes, cpu_millis, shared_key, weights_bytes, pool_bytes "
    "FROM scheduling.leases";

auto QuotesOf(const TenantId& tenant) {
  return [tenant](RowReader& row) {
    Quote out{.tenant = tenant};
    InstanceSpec& spec = out.spec;
    row.Into(out.id, out.project, spec.listing, spec.variant, spec.region, spec.isolation_class, spec.replicas,
             spec.context_tokens, spec.max_concurrency, spec.sleep_after_seconds);
    row.Into(out.use.requests_per_day, out.use.prompt_tokens, out.use.completion_tokens, out.use.hours_per_day);
    row.Into(out.prices.price_book, out.prices.currency_code, out.prices.prompt, out.prices.completion,
             out.prices.second);
    row.Into(out.monthly.tokens, out.monthly.time, out.misfit, out.create_time, out.expire_time);
    out.monthly.total = Add(out.monthly.tokens, out.monthly.time).value_or(Amount());
    return out;
  };
}

Result<Quote> FindQuote(TenantTx& tx, const Uuid& id) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM scheduling.quotes q WHERE q.tenant_id = $1 AND q.id = $2", kQuoteColumns),
              tx.tenant(), id);
  if (rows.empty()) return NotFound(fmt::format("the quote {} does not exist", id.ToString()));
  return ReadFirst(rows, QuotesOf(tx.tenant()));
}

Result<Quote> InsertQuote(TenantTx& tx, const Quote& quote, const std::string& tenant_name) {
  tx.Exec(kInsertTenantOfQuote, tx.tenant(), tenant_name);
  tx.Exec(kLockTenantOfQuote, tx.tenant());
  const auto stored = FindQuote(tx, quote.id);
  if (!stored && stored.error().code != Code::kNotFound) return stored;
  if (stored) {
    ALLOD_CHECK_OK(CheckSameAsked(*stored, quote));
    return stored;
  }
  tx.Exec(kForgetOldQuotes, tx.tenant(), quote.create_time - kQuoteKept);
  ALLOD_CHECK_OK(RoomForQuote(tx.Exec(kCountOpenQuotes, tx.tenant(), quote.create_time)[0][0].as<std::int64_t>()));
  const InstanceSpec& spec = quote.spec;
  const QuotedPrices& prices = quote.prices;
  tx.Exec(kInsertQuote, tx.tenant(), quote.id, quote.project, spec.listing, spec.variant, spec.region,
          spec.isolation_class, spec.replicas, spec.context_tokens, spec.max_concurrency, spec.sleep_after_seconds,
          quote.use.requests_per_day, quote.use.prompt_tokens, quote.use.completion_tokens, quote.use.hours_per_day,
          prices.price_book, prices.currency_code, prices.prompt, prices.completion, prices.second,
          quote.monthly.tokens, quote.monthly.time, quote.misfit, quote.create_time, quote.expire_time);
  return FindQuote(tx, quote.id);
}

}  // namespace

Result<Quote> PgQuoteStore::AddQuote(const Quote& quote, const std::string& tenant_name) {
  // What was added is met again by its id.
  return pool_.Run<Quote>(
      quote.tenant, [&](TenantTx& tx) { return InsertQuote(tx, quote, tenant_name); }, RunAgain{});
}

Result<Quote> PgQuoteStore::GetQuote(const TenantId& tenant, const Uuid& id) {
  return pool_.Run<Quote>(tenant, [&](TenantTx& tx) { return FindQuote(tx, id); });
}

Result<std::vector<Quote>> PgQuoteStore::ListQuotes(const TenantId& tenant, const std::string& project,
                                                    const PageRequest& page) {
  return pool_.Run<std::vector<Quote>>(tenant, [&](TenantTx& tx) -> Result<std::vector<Quote>> {
    // Ids grow with the time in which they were made, but for those that a request's id gave.
    return ReadAll(tx.Exec(fmt::format("SELECT {} FROM scheduling.quotes q WHERE q.tenant_id = $1 AND q.project = $2 "
                                       "AND ($3 = '' OR (q.create_time, q.id) < (SELECT b.create_time, b.id FROM "
                                       "scheduling.quotes b WHERE b.tenant_id = $1 AND b.id = NULLIF($3, '')::uuid)) "
                                       "ORDER BY q.create_time DESC, q.id DESC LIMIT $4",
                                       kQuoteColumns),
                           tenant, project, page.after, page.size + 1),
                   QuotesOf(tenant));
  });
}

Result<std::vector<scheduler::Replica>> PgQuoteStore::ListPlaced() {
  return pool_.Run<std::vector<scheduler::Replica>>([&](GlobalTx& tx) -> Result<std::vector<scheduler::Replica>> {
    return ReadAll(tx.Exec(kListPlaced), [](RowReader& row) {
      scheduler::Replica out{.state = scheduler::ReplicaState::kReady};
      scheduler::Demand& demand = out.demand;
      row.Into(out.id, out.node, out.epoch, demand.own.memory_bytes, demand.own.cpu_millis, demand.shared_key,
               demand.weights_bytes, demand.pool_bytes);
      return out;
    });
  });
}

}  // namespace allod::scheduling::quotes
