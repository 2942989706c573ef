#include "services/billing/instance_time/pg_instance_time_store.h"

#include <algorithm>
#include <map>
#include <utility>

#include "services/billing/pg_store_prices.h"
#include "services/billing/pg_store_rows.h"
#include "services/billing/refusals.h"
#include "services/common/fault_point.h"
#include "services/common/pg/row_reader.h"

namespace allod::billing::instance_time {
namespace {

constexpr std::string_view kFindIntervals = R"(
  SELECT i.replica_id, billing.to_micros(i.start_time), billing.to_micros(i.until_time), i.instance, i.generation,
    i.price_book_id, i.variant, i.isolation_class, i.second_price
  FROM unnest($2::uuid[], $3::bigint[]) AS w (replica_id, start_us)
  JOIN billing.instance_time_intervals i
    ON i.tenant_id = $1::uuid AND i.replica_id = w.replica_id AND i.start_time = billing.from_micros(w.start_us))";
constexpr std::string_view kInsertIntervals = R"(
  INSERT INTO billing.instance_time_intervals (tenant_id, replica_id, start_time, until_time, instance, generation,
    variant, price_book_id, isolation_class, currency_code, second_price)
  SELECT $1::uuid, n.replica_id, billing.from_micros(n.start_us), billing.from_micros(n.start_us), n.instance,
    n.generation, n.variant, n.price_book_id, n.isolation_class, $2, n.second_price
  FROM unnest($3::uuid[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::uuid[], $9::text[], $10::numeric[])
    AS n (replica_id, start_us, instance, generation, variant, price_book_id, isolation_class, second_price))";
// In order: each follows the one before. What costs nothing has no transfer.
constexpr std::string_view kInsertEntries = R"(
  WITH n AS (
    SELECT * FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
      $9::numeric[], $10::uuid[])
      WITH ORDINALITY AS n (replica_id, start_us, from_us, until_us, month_us, seconds, cost, transfer_id, place)),
  transfer AS (
    INSERT INTO billing.transfers (tenant_id, id, kind, debit, credit, currency_code, amount, create_time)
    SELECT $1::uuid, n.transfer_id, 'instance_time', 'receivable', 'usage-revenue', $2, n.cost, statement_timestamp()
    FROM n WHERE n.cost > 0)
  INSERT INTO billing.instance_time_entries (tenant_id, replica_id, start_time, from_time, until_time, month, seconds,
    cost, transfer_id)
  SELECT $1::uuid, n.replica_id, billing.from_micros(n.start_us), billing.from_micros(n.from_us),
    billing.from_micros(n.until_us), (billing.from_micros(n.month_us) AT TIME ZONE 'UTC')::date, n.seconds, n.cost,
    CASE WHEN n.cost > 0 THEN n.transfer_id END
  FROM n ORDER BY n.place)";
// What was paid beforehand counts like credit.
constexpr std::string_view kCreditUsedUp = R"(
  SELECT -l.posted >= a.credit_limit + coalesce((SELECT w.posted FROM billing.ledger_accounts w
    WHERE w.tenant_id = a.tenant_id AND w.code = 'wallet'), 0)
  FROM billing.billing_accounts a JOIN billing.ledger_accounts l
    ON l.tenant_id = a.tenant_id AND l.code = 'receivable'
  WHERE a.tenant_id = $1::uuid)";
constexpr std::string_view kListTotals = R"(
  SELECT t.id, billing.to_micros(t.month::timestamp AT TIME ZONE 'UTC'), t.instance, t.price_book_id, t.variant,
    t.isolation_class, div(t.hour_price, 3600), t.seconds, div(t.hour_price, 3600) * t.seconds
  FROM billing.instance_time_totals t
  WHERE t.tenant_id = $1::uuid 
    AND ($2::bigint IS NULL OR t.month = (billing.from_micros($2::bigint) AT TIME ZONE 'UTC')::date)
    AND ($3 = '' OR split_part(t.instance, '/', 4) = $3)
    AND (t.instance COLLATE "C", t.id) > ($4, $5::uuid)
  ORDER BY t.instance COLLATE "C", t.id LIMIT $6)";

using Key = std::pair<Uuid, Time>;
using Known = std::map<Key, KnownInterval>;

Known FindIntervals(TenantTx& tx, const std::vector<InstanceInterval>& intervals) {
  std::vector<std::string> replicas, starts;
  for (const InstanceInterval& told : intervals) {
    replicas.push_back(told.replica.ToString());
    starts.push_back(std::to_string(ToMicros(told.start)));
  }
  Known out;
  for (KnownInterval& known : ReadAll(tx.Exec(kFindIntervals, tx.tenant(), replicas, starts), [](RowReader& row) {
         KnownInterval found;
         InstanceInterval& i = found.interval;
         row.Into(i.replica, i.start, i.until, i.instance, i.generation, i.terms.price_book, i.terms.variant,
                  i.terms.isolation_class, found.second_price);
         return found;
       })) {
    const Key key{known.interval.replica, known.interval.start};
    out.emplace(key, std::move(known));
  }
  return out;
}

// What is new, column by column.
struct Columns {
  std::vector<std::string> replica, start, instance, generation, variant, price_book, isolation_class, second_price;
  std::vector<std::string> of, of_start, from, until, month, seconds, cost, transfer;

  void Add(const InstanceInterval& told, const TimeDecision& decision) {
    if (decision.is_new && !decision.entries.empty()) {
      replica.push_back(told.replica.ToString());
      start.push_back(std::to_string(ToMicros(told.start)));
      instance.push_back(told.instance);
      generation.push_back(std::to_string(told.generation));
      variant.push_back(told.terms.variant);
      price_book.push_back(told.terms.price_book.ToString());
      isolation_class.push_back(told.terms.isolation_class);
      second_price.push_back(decision.second_price.ToPicoString());
    }
    for (const TimeEntry& entry : decision.entries) {
      of.push_back(entry.replica.ToString());
      of_start.push_back(std::to_string(ToMicros(entry.start)));
      from.push_back(std::to_string(ToMicros(entry.from)));
      until.push_back(std::to_string(ToMicros(entry.until)));
      month.push_back(std::to_string(ToMicros(entry.month)));
      seconds.push_back(std::to_string(entry.seconds));
      cost.push_back(entry.cost.ToPicoString());
      transfer.push_back(TransferIdOf(entry).ToString());
    }
  }
  void Write(TenantTx& tx, const std::string& currency_code) const {
    if (!replica.empty()) {
      tx.Exec(kInsertIntervals, tx.tenant(), currency_code, replica, start, instance, generation, variant, price_book,
              isolation_class, second_price);
    }
    if (!of.empty()) {
      tx.Exec(kInsertEntries, tx.tenant(), currency_code, of, of_start, from, until, month, seconds, cost, transfer);
    }
  }
};

Result<RecordedTime> Record(TenantTx& tx, const std::vector<InstanceInterval>& intervals) {
  const std::optional<LockedAccount> account = LockAccount(tx);
  if (!account) return NoBillingAccount();
  RecordedTime out;
  const auto clock = tx.Exec("SELECT billing.to_micros(clock_timestamp())");
  const Time now = RowReader(clock.at(0)).Next<Time>();
  Known known = FindIntervals(tx, intervals);
  std::vector<PriceKey> terms;
  for (const InstanceInterval& told : intervals) terms.push_back(told.terms);
  std::ranges::sort(terms);
  const auto rest = std::ranges::unique(terms);
  terms.erase(rest.begin(), rest.end());
  const std::vector<KeyPrice> prices = FindTermsPrices(tx, terms, account->currency_code);
  Columns columns;
  for (const InstanceInterval& told : intervals) {
    const auto place = std::ranges::lower_bound(terms, told.terms) - terms.begin();
    const auto found = known.find({told.replica, told.start});
    const auto decided = DecideInstanceTime(found == known.end() ? std::nullopt : std::optional(found->second), told,
                                            prices[static_cast<std::size_t>(place)], account->currency_code, now);
    if (!decided) {
      out.intervals.push_back(std::unexpected(decided.error()));
      continue;
    }
    columns.Add(told, *decided);
    out.intervals.push_back(RecordedTime::One{.costs = decided->second_price > Amount()});
    // The same interval may come twice in one report.
    if (decided->entries.empty()) continue;
    InstanceInterval counted = told;
    counted.until = decided->entries.back().until;
    known.insert_or_assign({told.replica, told.start}, KnownInterval{std::move(counted), decided->second_price});
  }
  columns.Write(tx, account->currency_code);
  ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kInstanceTimeWritten));
  out.credit_used_up = tx.Exec(kCreditUsedUp, tx.tenant()).at(0)[0].as<bool>();
  return out;
}

}  // namespace

Result<RecordedTime> PgInstanceTimeStore::RecordInstanceTime(TenantId tenant,
                                                             const std::vector<InstanceInterval>& intervals) {
  return desk_.Run<RecordedTime>(
      tenant, [&](TenantTx& tx) { return Record(tx, intervals); },
      // What was counted is met again as known.
      RunAgain{});
}

Result<std::vector<InstanceTimeTotal>> PgInstanceTimeStore::ListInstanceTime(const InstanceTimeQuery& query) {
  return reports_.Run<std::vector<InstanceTimeTotal>>(
      query.tenant, [&](TenantTx& tx) -> Result<std::vector<InstanceTimeTotal>> {
        return ReadAll(tx.Exec(kListTotals, tx.tenant(), query.month, query.project, query.after.instance,
                               query.after.id, query.limit),
                       [](RowReader& row) {
                         InstanceTimeTotal out;
                         row.Into(out.id, out.month, out.instance, out.terms.price_book, out.terms.variant,
                                  out.terms.isolation_class, out.second_price, out.seconds, out.amount);
                         return out;
                       });
      });
}

}  // namespace allod::billing::instance_time
