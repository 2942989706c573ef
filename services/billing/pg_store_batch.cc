// Batches of settlements of leased requests: five short reads under the tenant's lock, and one statement that writes
// all of it.
#include <fmt/format.h>

#include <algorithm>

#include "services/billing/pg_store.h"
#include "services/billing/pg_store_prices.h"
#include "services/billing/pg_store_rows.h"
#include "services/billing/pg_store_slices.h"
#include "services/common/fault_point.h"

namespace allod {

template <>
inline constexpr auto kRowWords<billing::LeasedTransfer> =
    std::to_array<RowWord<billing::LeasedTransfer>>({{billing::LeasedTransfer::kPost, "lease_post"},
                                                     {billing::LeasedTransfer::kLatePost, "lease_late_post"},
                                                     {billing::LeasedTransfer::kShortPost, "lease_short_post"},
                                                     {billing::LeasedTransfer::kNone, ""}});

}  // namespace allod

namespace allod::billing {
namespace {

// OFFSET 0: one look into the index for each, whatever the planner thinks of the table's size. $3, $4: the lowest and
// the highest of them, so that no partition is planned for that has none.
const std::string kFindRecords = fmt::format(
    "SELECT {} FROM unnest($2::uuid[]) AS w (id), LATERAL (SELECT * FROM billing.usage_records r "
    "WHERE r.tenant_id = $1::uuid AND r.request_id = w.id AND r.request_id BETWEEN $3::uuid AND $4::uuid OFFSET 0) u",
    kUsageColumns);
constexpr std::string_view kFindReserved =
    "SELECT w.id FROM unnest($2::uuid[]) AS w (id) WHERE EXISTS (SELECT FROM billing.reservations r "
    "WHERE r.tenant_id = $1::uuid AND r.request_id = w.id OFFSET 0)";
const std::string kFindLeases = fmt::format(
    "SELECT {} FROM billing.leases e WHERE e.tenant_id = $1::uuid AND e.id = ANY($2::uuid[])", kLeaseColumns);

// Transfer and record of each, at once. A kind of '': no transfer, nothing is to pay.
constexpr std::string_view kWriteBatch = R"(
  WITH item AS (
    SELECT * FROM unnest($4::uuid[], $5::text[], $6::uuid[], $7::boolean[], $8::text[], $9::text[], $10::uuid[],
      $11::text[], $12::text[], $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::numeric[],
      $19::numeric[], $20::boolean[], $21::numeric[], $22::bigint[])
      AS i (request_id, kind, lease_id, is_lease_known, instance, variant, price_book_id, isolation_class, api_key,
        outcome, prompt_tokens, completion_tokens, excess_prompt_tokens, excess_completion_tokens, prompt_price,
        completion_price, billed, cost, admit_us)),
  transfer AS (
    INSERT INTO billing.transfers (tenant_id, id, kind, lease_id, debit, credit, currency_code, amount, create_time)
    SELECT $1::uuid, i.request_id, i.kind, CASE WHEN i.is_lease_known THEN i.lease_id END, 'receivable', 'usage-revenue',
      $2, i.cost, billing.from_micros($3)
    FROM item i WHERE i.kind <> '')
  INSERT INTO billing.usage_records (tenant_id, request_id, instance, variant, price_book_id, api_key, outcome,
    prompt_tokens, completion_tokens, currency_code, prompt_price, completion_price, billed, cost, admit_time, settle_time,
    isolation_class, revision, lease_id, excess_prompt_tokens, excess_completion_tokens, invoice_epoch)
  SELECT $1::uuid, i.request_id, i.instance, i.variant, i.price_book_id, i.api_key, i.outcome, i.prompt_tokens,
    i.completion_tokens, $2, i.prompt_price, i.completion_price, i.billed, i.cost, billing.from_micros(i.admit_us),
    billing.from_micros($3), i.isolation_class, NULL, i.lease_id, i.excess_prompt_tokens, i.excess_completion_tokens,
    (SELECT a.invoice_epoch FROM billing.billing_accounts a WHERE a.tenant_id = $1::uuid)
  FROM item i)";

SettleBatchState LockForBatch(TenantTx& tx, const SettleBatchCommand& command) {
  std::vector<std::string> requests, leases;
  std::vector<PriceKey> terms;
  for (const LeasedUsage& usage : command.usage) {
    requests.push_back(usage.request_id.ToString());
    leases.push_back(usage.lease_id.ToString());
    terms.push_back(usage.terms);
  }
  const auto distinct = [](auto& values) {
    std::ranges::sort(values);
    const auto rest = std::ranges::unique(values);
    values.erase(rest.begin(), rest.end());
  };
  distinct(leases);
  distinct(terms);
  SettleBatchState state;
  if (auto account = LockAccount(tx)) state.currency_code = std::move(account->currency_code);
  if (command.usage.empty()) return state;
  const auto [lowest, highest] = std::ranges::minmax_element(command.usage, {}, &LeasedUsage::request_id);
  for (UsageRecord& record : ReadAll(
           tx.Exec(kFindRecords, tx.tenant(), requests, lowest->request_id, highest->request_id), ReadUsageRecord)) {
    state.records.emplace(record.request_id, std::move(record));
  }
  for (const Uuid& id :
       ReadAll(tx.Exec(kFindReserved, tx.tenant(), requests), [](RowReader& row) { return row.Next<Uuid>(); })) {
    state.reserved.insert(id);
  }
  for (Lease& lease : ReadAll(tx.Exec(kFindLeases, tx.tenant(), leases), ReadLease)) {
    state.leases.emplace(lease.id, std::move(lease));
  }
  if (!state.currency_code) return state;
  const std::vector<KeyPrice> prices = FindTermsPrices(tx, terms, *state.currency_code);
  for (std::size_t i = 0; i < terms.size(); ++i) state.prices.emplace(terms[i], prices[i]);
  return state;
}

// What is new of a batch, column by column.
struct BatchColumns {
  std::vector<std::string> request_id, kind, lease, is_lease_known, instance, variant, price_book, isolation_class,
      api_key, outcome, prompt_tokens, completion_tokens, excess_prompt_tokens, excess_completion_tokens, prompt_price,
      completion_price, billed, cost, admit_us;

  void Add(const LeasedDecision& decision) {
    const UsageRecord& u = decision.record;
    const auto flag = [](bool value) { return std::string(value ? "t" : "f"); };
    request_id.push_back(u.request_id.ToString());
    kind.emplace_back(ToRowWord(decision.transfer));
    lease.push_back(u.lease->ToString());
    is_lease_known.push_back(flag(decision.is_lease_known));
    instance.push_back(u.instance);
    variant.push_back(u.variant);
    price_book.push_back(u.price_book.ToString());
    isolation_class.push_back(u.isolation_class);
    api_key.push_back(u.api_key);
    outcome.emplace_back(ToRowWord(u.outcome));
    prompt_tokens.push_back(std::to_string(u.prompt_tokens));
    completion_tokens.push_back(std::to_string(u.completion_tokens));
    excess_prompt_tokens.push_back(std::to_string(u.excess_prompt_tokens));
    excess_completion_tokens.push_back(std::to_string(u.excess_completion_tokens));
    prompt_price.push_back(u.prompt_price.ToPicoString());
    completion_price.push_back(u.completion_price.ToPicoString());
    billed.push_back(flag(u.billed));
    cost.push_back(u.cost.ToPicoString());
    admit_us.push_back(std::to_string(ToMicros(u.admit_time)));
  }
  void Write(TenantTx& tx, const std::string& currency_code, Time now) const {
    if (request_id.empty()) return;
    tx.Exec(kWriteBatch, tx.tenant(), currency_code, now, request_id, kind, lease, is_lease_known, instance, variant,
            price_book, isolation_class, api_key, outcome, prompt_tokens, completion_tokens, excess_prompt_tokens,
            excess_completion_tokens, prompt_price, completion_price, billed, cost, admit_us);
  }
};

}  // namespace

Result<std::vector<Result<SettledUsage>>> PgStore::SettleBatch(const SettleBatchCommand& command, Time now) {
  return money_.Run<std::vector<Result<SettledUsage>>>(
      command.tenant,
      [&](TenantTx& tx) -> Result<std::vector<Result<SettledUsage>>> {
        const SettleBatchState state = LockForBatch(tx, command);
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kBatchLocked));
        BatchColumns columns;
        std::vector<SliceCost> slices;
        std::vector<Result<SettledUsage>> out;
        auto usage = command.usage.begin();
        for (const Result<LeasedDecision>& decision : DecideSettleBatch(state, command, now)) {
          const LeasedUsage& asked = *usage++;
          if (!decision) {
            out.push_back(std::unexpected(decision.error()));
            continue;
          }
          if (!decision->replay) {
            columns.Add(*decision);
            for (const SliceKey& key : asked.slices) slices.push_back({asked.lease_id, key, decision->record.cost});
          }
          out.push_back(SettledUsage{.cost = decision->record.cost});
        }
        columns.Write(tx, state.currency_code.value_or(""), now);
        TakeFromSlices(tx, slices);
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kBatchWritten));
        return out;
      },
      // What was recorded is looked up by its id, and answered.
      RunAgain{});
}

}  // namespace allod::billing
