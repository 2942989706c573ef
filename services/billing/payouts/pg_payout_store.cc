#include "services/billing/payouts/pg_payout_store.h"

#include <fmt/format.h>

#include <optional>

#include "services/billing/pg_store_issued.h"
#include "services/common/pg/row_reader.h"

namespace allod::billing::payouts {
namespace {

// One after another for a publisher, to the end of the transaction. The words keep it apart from other locks.
constexpr std::string_view kLockPublisher = "SELECT pg_advisory_xact_lock(hashtextextended('payouts of ' || $1, 0))";
constexpr std::string_view kLockListing =
    "SELECT pg_advisory_xact_lock(hashtextextended('revenue share of ' || $1, 0))";

constexpr std::string_view kShareColumns =
    "SELECT listing, version, publisher, basis_points, billing.to_micros(create_time) FROM billing.revenue_shares ";
constexpr std::string_view kNewestShare = "WHERE listing = $1 ORDER BY version DESC LIMIT 1";
constexpr std::string_view kInsertShare =
    "INSERT INTO billing.revenue_shares (listing, version, publisher, basis_points) VALUES ($1, $2, $3, $4)";
constexpr std::string_view kListShares =
    "SELECT DISTINCT ON (listing) listing, version, publisher, basis_points, billing.to_micros(create_time) "
    "FROM billing.revenue_shares WHERE listing > $1 ORDER BY listing, version DESC LIMIT $2";

constexpr std::string_view kPayoutColumns =
    "SELECT p.publisher, p.currency_code, billing.to_micros(p.month::timestamp AT TIME ZONE 'UTC'), p.legal_entity_id, "
    "p.number, billing.to_micros(p.issue_time), p.payer_name, p.payer_street, p.payer_city, p.payer_postal_code, "
    "p.payer_country_code, p.payer_tax_id, p.payer_registration_id, p.earned, p.payable, "
    "coalesce(to_char(y.paid_on, 'YYYY-MM-DD'), ''), coalesce(y.reference, '') FROM billing.payouts p "
    "LEFT JOIN billing.payout_payments y USING (publisher, currency_code, month) ";
constexpr std::string_view kOnePayout = "WHERE p.publisher = $1 AND p.currency_code = $2 AND p.month = $3::date";
constexpr std::string_view kPayoutsAfter =
    "WHERE p.publisher || ' ' || p.currency_code || ' ' || to_char(p.month, 'YYYY-MM') > $1 COLLATE \"C\" "
    "ORDER BY p.publisher || ' ' || p.currency_code || ' ' || to_char(p.month, 'YYYY-MM') COLLATE \"C\" LIMIT $2";
constexpr std::string_view kLines =
    "SELECT number, listing, basis_points, document_count, net, share FROM billing.payout_lines "
    "WHERE publisher = $1 AND currency_code = $2 AND month = $3::date ORDER BY number";

constexpr std::string_view kLaterPayout =
    "SELECT to_char(month, 'YYYY-MM') FROM billing.payouts WHERE publisher = $1 AND currency_code = $2 AND "
    "month > $3::date LIMIT 1";
// What is open is taken first and added up then, so that what is earned meanwhile is wholly in this payout or not.
constexpr std::string_view kTakeOpen =
    "INSERT INTO billing.payout_items (earning_id, publisher, currency_code, month) "
    "SELECT e.id, $1, $2, $3::date FROM billing.publisher_earnings e WHERE e.publisher = $1 AND e.currency_code = $2 "
    "AND e.month <= $3::date AND NOT EXISTS (SELECT FROM billing.payout_items i WHERE i.earning_id = e.id)";
constexpr std::string_view kTaken =
    "SELECT e.listing, e.basis_points, count(*), sum(e.net), sum(e.share) FROM billing.payout_items i "
    "JOIN billing.publisher_earnings e ON e.id = i.earning_id "
    "WHERE i.publisher = $1 AND i.currency_code = $2 AND i.month = $3::date "
    "GROUP BY e.listing, e.basis_points ORDER BY e.listing, e.basis_points";
constexpr std::string_view kInsertPayout =
    "INSERT INTO billing.payouts (publisher, currency_code, month, legal_entity_id, issue_time, payer_name, "
    "payer_street, payer_city, payer_postal_code, payer_country_code, payer_tax_id, payer_registration_id, earned, "
    "payable) VALUES ($1, $2, $3::date, $4, billing.from_micros($5), $6, $7, $8, $9, $10, $11, $12, $13::numeric, "
    "$14::numeric)";
constexpr std::string_view kInsertLine =
    "INSERT INTO billing.payout_lines (publisher, currency_code, month, number, listing, basis_points, document_count, "
    "net, share) VALUES ($1, $2, $3::date, $4, $5, $6, $7, $8::numeric, $9::numeric)";
constexpr std::string_view kInsertPayment =
    "INSERT INTO billing.payout_payments (publisher, currency_code, month, paid_on, reference) "
    "VALUES ($1, $2, $3::date, $4::date, $5) ON CONFLICT DO NOTHING";

std::string MonthOf(const PayoutKey& key) { return key.period.name + "-01"; }

RevenueShare ReadShare(RowReader& row) {
  RevenueShare out;
  row.Into(out.listing, out.version, out.publisher, out.basis_points, out.create_time);
  return out;
}

Payout ReadPayout(RowReader& row) {
  Payout out;
  Time month;
  row.Into(out.key.publisher, out.key.currency_code, month, out.legal_entity, out.number, out.issue_time);
  row.Into(out.payer.name, out.payer.street, out.payer.city, out.payer.postal_code, out.payer.country_code,
           out.payer.tax_id, out.payer.registration_id);
  row.Into(out.earned, out.payable, out.paid_on, out.payment_reference);
  out.key.period = PeriodOf(month);
  return out;
}

std::optional<Payout> FindIn(PgTx& tx, const PayoutKey& key) {
  const auto rows =
      tx.Exec(fmt::format("{}{}", kPayoutColumns, kOnePayout), key.publisher, key.currency_code, MonthOf(key));
  if (rows.empty()) return std::nullopt;
  Payout out = ReadFirst(rows, ReadPayout);
  out.lines = ReadAll(tx.Exec(kLines, key.publisher, key.currency_code, MonthOf(key)), [](RowReader& row) {
    PayoutLine line;
    row.Into(line.number, line.listing, line.basis_points, line.document_count, line.net, line.share);
    return line;
  });
  return out;
}

std::unexpected<Error> NoSuchPayout(const PayoutKey& key) {
  return NotFound(fmt::format("{} was not finalised", key.ToName()));
}

Result<Payout> FinaliseIn(GlobalTx& tx, const PayoutKey& key, const std::string& legal_entity, Time now) {
  tx.Exec(kLockPublisher, key.publisher);
  if (auto found = FindIn(tx, key)) return *std::move(found);
  ALLOD_CHECK_OK(CheckMayPay(key, now));
  const std::string month = MonthOf(key);
  if (const auto later = tx.Exec(kLaterPayout, key.publisher, key.currency_code, month); !later.empty()) {
    return FailedPrecondition("LATER_PERIOD_FINALISED",
                              fmt::format("{} was paid out already, with all that was earned before",
                                          ReadFirst(later, [](RowReader& row) { return row.Next<std::string>(); })));
  }
  const auto payer = FindLegalEntityIn(tx, legal_entity);
  if (!payer) {
    return FailedPrecondition("NO_LEGAL_ENTITY", fmt::format("legal_entity: legalEntities/{} does not exist; make it "
                                                             "with SetLegalEntity",
                                                             legal_entity));
  }
  tx.Exec(kTakeOpen, key.publisher, key.currency_code, month);
  auto open = ReadAll(tx.Exec(kTaken, key.publisher, key.currency_code, month), [](RowReader& row) {
    PayoutLine line;
    row.Into(line.listing, line.basis_points, line.document_count, line.net, line.share);
    return line;
  });
  ALLOD_TRY(const Payout payout, DecidePayout(key, *payer, std::move(open), now));
  const Party& p = payout.payer;
  tx.Exec(kInsertPayout, key.publisher, key.currency_code, month, payout.legal_entity, payout.issue_time, p.name,
          p.street, p.city, p.postal_code, p.country_code, p.tax_id, p.registration_id, payout.earned, payout.payable);
  for (const PayoutLine& line : payout.lines) {
    tx.Exec(kInsertLine, key.publisher, key.currency_code, month, line.number, line.listing, line.basis_points,
            line.document_count, line.net, line.share);
  }
  return *FindIn(tx, key);
}

}  // namespace

std::string SortKey(const PayoutKey& key) {
  return fmt::format("{} {} {}", key.publisher, key.currency_code, key.period.name);
}

Result<RevenueShare> PgPayoutStore::SetRevenueShare(const RevenueShare& share) {
  const std::function<Result<RevenueShare>(GlobalTx&)> set = [&](GlobalTx& tx) -> Result<RevenueShare> {
    tx.Exec(kLockListing, share.listing);
    const std::string find = fmt::format("{}{}", kShareColumns, kNewestShare);
    const auto newest = tx.Exec(find, share.listing);
    std::int32_t version = 1;
    if (!newest.empty()) {
      const RevenueShare before = ReadFirst(newest, ReadShare);
      if (SameTerms(before, share)) return before;
      version = before.version + 1;
    }
    tx.Exec(kInsertShare, share.listing, version, share.publisher, share.basis_points);
    return ReadFirst(tx.Exec(find, share.listing), ReadShare);
  };
  return pool_.Run<RevenueShare>(set, RunAgain());
}

Result<std::vector<RevenueShare>> PgPayoutStore::ListRevenueShares(const std::string& after, int limit) {
  return pool_.Run<std::vector<RevenueShare>>([&](GlobalTx& tx) -> Result<std::vector<RevenueShare>> {
    return ReadAll(tx.Exec(kListShares, after, limit), ReadShare);
  });
}

Result<Payout> PgPayoutStore::FinalisePayout(const PayoutKey& key, const std::string& legal_entity, Time now) {
  const std::function<Result<Payout>(GlobalTx&)> finalise = [&](GlobalTx& tx) {
    return FinaliseIn(tx, key, legal_entity, now);
  };
  return pool_.Run<Payout>(finalise, RunAgain());
}

Result<Payout> PgPayoutStore::GetPayout(const PayoutKey& key) {
  return pool_.Run<Payout>([&](GlobalTx& tx) -> Result<Payout> {
    if (auto found = FindIn(tx, key)) return *std::move(found);
    return NoSuchPayout(key);
  });
}

Result<std::vector<Payout>> PgPayoutStore::ListPayouts(const std::string& after, int limit) {
  return pool_.Run<std::vector<Payout>>([&](GlobalTx& tx) -> Result<std::vector<Payout>> {
    return ReadAll(tx.Exec(fmt::format("{}{}", kPayoutColumns, kPayoutsAfter), after, limit), ReadPayout);
  });
}

Result<Payout> PgPayoutStore::RecordPayment(const PayoutKey& key, const Payment& payment) {
  const std::function<Result<Payout>(GlobalTx&)> record = [&](GlobalTx& tx) -> Result<Payout> {
    if (!FindIn(tx, key)) return NoSuchPayout(key);
    tx.Exec(kInsertPayment, key.publisher, key.currency_code, MonthOf(key), payment.paid_on, payment.reference);
    Payout out = *FindIn(tx, key);
    if (out.paid_on == payment.paid_on && out.payment_reference == payment.reference) return out;
    return FailedPrecondition("ALREADY_PAID",
                              fmt::format("{} was paid on {} by {}", key.ToName(), out.paid_on, out.payment_reference));
  };
  return pool_.Run<Payout>(record, RunAgain());
}

}  // namespace allod::billing::payouts
