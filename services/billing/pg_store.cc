// Prices and accounts; pg_store_usage.cc moves money, pg_store_reports.cc only reads.
#include "services/billing/pg_store.h"

#include <fmt/format.h>

#include "services/billing/pg_store_rows.h"
#include "services/billing/refusals.h"
#include "services/common/fault_point.h"

namespace allod::billing {
namespace {

constexpr std::string_view kFindPriceBook =
    "SELECT listing, billing.to_micros(create_time) FROM billing.price_books WHERE id = $1::uuid";
constexpr std::string_view kFindPrices =
    "SELECT currency_code, variant_id, prompt_price, completion_price, isolation_class, instance_second_price "
    "FROM billing.token_prices "
    "WHERE price_book_id = $1::uuid";
constexpr std::string_view kInsertPriceBook =
    "INSERT INTO billing.price_books (id, listing, create_time) VALUES ($1::uuid, $2, billing.from_micros($3)) "
    "ON CONFLICT DO NOTHING";
constexpr std::string_view kInsertPrice =
    "INSERT INTO billing.token_prices (price_book_id, currency_code, variant_id, prompt_price, completion_price, "
    "isolation_class, instance_second_price) VALUES ($1::uuid, $2, $3, $4::numeric, $5::numeric, $6, $7::numeric)";

constexpr std::string_view kInsertAccount =
    "INSERT INTO billing.billing_accounts (tenant_id, tenant_name, currency_code, credit_limit, create_time, "
    "update_time) "
    "VALUES ($1::uuid, $2, $3, $4::numeric, billing.from_micros($5), billing.from_micros($5)) ON CONFLICT DO NOTHING";
constexpr std::string_view kInsertLedgerAccount =
    "INSERT INTO billing.ledger_accounts (tenant_id, code, currency_code) VALUES ($1::uuid, $2, $3)";
constexpr std::string_view kInsertKnownTenant =
    "INSERT INTO billing.known_tenants (tenant_id, name, currency_code) VALUES ($1::uuid, $2, $3) ON CONFLICT DO "
    "NOTHING";
constexpr std::string_view kUpdateLimit =
    "UPDATE billing.billing_accounts SET credit_limit = $2::numeric, update_time = billing.from_micros($3) "
    "WHERE tenant_id = $1::uuid";
constexpr std::string_view kFindRequestId =
    "SELECT payload_sha256 FROM billing.request_ids WHERE tenant_id = $1::uuid AND request_id = $2::uuid";
constexpr std::string_view kInsertRequestId =
    "INSERT INTO billing.request_ids (tenant_id, request_id, payload_sha256, create_time) "
    "VALUES ($1::uuid, $2::uuid, $3, billing.from_micros($4))";

Result<PriceBook> FindPriceBook(GlobalTx& tx, Uuid id) {
  const auto books = tx.Exec(kFindPriceBook, id.ToString());
  if (books.empty()) return NotFound(fmt::format("priceBooks/{} does not exist", id.ToString()));
  PriceBook book{.id = id};
  RowReader row(books[0]);
  row.Into(book.listing, book.create_time);
  book.prices = ReadAll(tx.Exec(kFindPrices, id.ToString()), [](RowReader& price) {
    TokenPrice out;
    price.Into(out.currency_code, out.variant_id, out.prompt, out.completion, out.isolation_class, out.instance_second);
    return out;
  });
  return CheckPriceBook(std::move(book));  // sorts: the database's collation is not ours
}

Result<BillingAccount> FindAccount(TenantTx& tx) {
  auto account = FindAccountIn(tx);
  if (!account) return BillingAccountNotFound();
  return *std::move(account);
}

void OpenAccount(TenantTx& tx, const SetAccountCommand& command) {
  for (const std::string_view code :
       {kReceivable, kUsageRevenue, kRounding, kTaxPayable, kWallet, kPayments, kVouchers}) {
    tx.Exec(kInsertLedgerAccount, command.tenant.ToString(), std::string(code), command.currency_code);
  }
  tx.Exec(kInsertKnownTenant, command.tenant.ToString(), command.tenant_name, command.currency_code);
}

// Whether the same request was carried out before.
Result<bool> IsRepeated(TenantTx& tx, const SetAccountCommand& command) {
  if (!command.request.given()) return false;
  const auto rows = tx.Exec(kFindRequestId, command.tenant.ToString(), command.request.id.ToString());
  if (rows.empty()) return false;
  ALLOD_CHECK_OK(CheckSamePayload(command.request, rows[0][0].as<std::string>()));
  return true;
}

audit::Act SettingOf(const SetAccountCommand& command) {
  return {.action = "billing.billingAccounts.set",
          .resource = command.tenant_name + "/billingAccount",
          .details = {{"currency_code", command.currency_code}, {"credit_limit", command.credit_limit.ToString()}}};
}

Result<BillingAccount> SetAccount(TenantTx& tx, const audit::PgLog& log, const SetAccountCommand& command, Time now) {
  const std::string tenant = command.tenant.ToString();
  const bool opened =
      tx.Exec(kInsertAccount, tenant, command.tenant_name, command.currency_code, command.credit_limit, now)
          .affected_rows() == 1;
  if (opened) OpenAccount(tx, command);
  const LockedAccount locked = LockAccount(tx).value();
  ALLOD_TRY(const bool repeated, IsRepeated(tx, command));
  if (!repeated) {
    if (locked.currency_code != command.currency_code) {
      return std::unexpected(CurrencyImmutable(locked.currency_code, command.currency_code));
    }
    tx.Exec(kUpdateLimit, tenant, command.credit_limit, now);
    if (command.request.given()) {
      tx.Exec(kInsertRequestId, tenant, command.request.id.ToString(), command.request.payload_sha256, now);
    }
    const bool is_same = !opened && locked.credit_limit == command.credit_limit;
    if (!is_same) ALLOD_CHECK_OK(log.Append(tx, command.tenant_name, SettingOf(command)));
  }
  ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kAccountWritten));
  return FindAccount(tx);
}

}  // namespace

Result<PriceBook> PgStore::CreatePriceBook(const PriceBook& book, Time now) {
  return desk_.Run<PriceBook>(
      [&](GlobalTx& tx) -> Result<PriceBook> {
        if (tx.Exec(kInsertPriceBook, book.id.ToString(), book.listing, now).affected_rows() == 1) {
          for (const TokenPrice& price : book.prices) {
            tx.Exec(kInsertPrice, book.id.ToString(), price.currency_code, price.variant_id, price.prompt,
                    price.completion, price.isolation_class, price.instance_second);
          }
        }
        ALLOD_TRY(const PriceBook stored, FindPriceBook(tx, book.id));
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kPriceBookWritten));
        if (SameContent(stored, book)) return stored;
        return Fail(
            Code::kAlreadyExists, "ALREADY_EXISTS",
            fmt::format("priceBooks/{} exists with another listing or other prices, and price books never change; "
                        "make a new one",
                        book.id.ToString()));
      },
      [&](GlobalTx& tx) { return FindPriceBook(tx, book.id); });
}

Result<PriceBook> PgStore::GetPriceBook(Uuid id) {
  return desk_.Run<PriceBook>([&](GlobalTx& tx) { return FindPriceBook(tx, id); });
}

Result<BillingAccount> PgStore::SetBillingAccount(const SetAccountCommand& command, Time now) {
  // In doubt it is simply done again: with a request id a repetition is noticed, without one the limit is set to the
  // same.
  return desk_.Run<BillingAccount>(
      command.tenant, [&](TenantTx& tx) { return SetAccount(tx, audit_, command, now); }, RunAgain{});
}

Result<BillingAccount> PgStore::GetBillingAccount(TenantId tenant) {
  return desk_.Run<BillingAccount>(tenant, [&](TenantTx& tx) { return FindAccount(tx); });
}

}  // namespace allod::billing
