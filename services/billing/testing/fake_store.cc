#include "services/billing/testing/fake_store.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

namespace allod::billing {
namespace {

// The decisions bound every amount, so that sums cannot leave the range.
Amount Sum(Amount a, Amount b) { return Add(a, b).value(); }
Amount Minus(Amount a, Amount b) { return Subtract(a, b).value(); }

}  // namespace

Result<PriceBook> FakeStore::CreatePriceBook(const PriceBook& book, Time now) {
  const std::lock_guard lock(mutex_);
  auto [at, created] = price_books_.try_emplace(book.id, book);
  if (created) at->second.create_time = std::chrono::floor<std::chrono::microseconds>(now);
  if (SameContent(at->second, book)) return at->second;
  return Fail(Code::kAlreadyExists, "ALREADY_EXISTS", "the price book exists with other content");
}

Result<PriceBook> FakeStore::GetPriceBook(Uuid id) {
  const std::lock_guard lock(mutex_);
  const auto at = price_books_.find(id);
  if (at == price_books_.end()) return NotFound("no such price book");
  return at->second;
}

BillingAccount FakeStore::AccountOf(TenantId tenant, const Books& books) const {
  const LedgerAccount& receivable = books.accounts.at(std::string(kReceivable));
  return {.tenant = tenant,
          .tenant_name = books.tenant_name,
          .currency_code = books.currency_code,
          .credit_limit = books.credit_limit,
          .posted = Minus(Amount(), receivable.balance),
          .held = receivable.held};
}

Result<BillingAccount> FakeStore::SetBillingAccount(const SetAccountCommand& command, Time) {
  const std::lock_guard lock(mutex_);
  if (const auto at = books_.find(command.tenant); at != books_.end() && command.request.given()) {
    if (const auto seen = at->second.request_ids.find(command.request.id); seen != at->second.request_ids.end()) {
      ALLOD_CHECK_OK(CheckSamePayload(command.request, seen->second));
      return AccountOf(command.tenant, at->second);
    }
  }
  auto [at, opened] = books_.try_emplace(command.tenant);
  Books& books = at->second;
  if (opened) {
    books.tenant_name = command.tenant_name;
    books.currency_code = command.currency_code;
    for (const std::string_view code :
         {kReceivable, kUsageRevenue, kRounding, kTaxPayable, kWallet, kPayments, kVouchers}) {
      books.accounts[std::string(code)] = {.code = std::string(code), .currency_code = command.currency_code};
    }
  }
  if (books.currency_code != command.currency_code) {
    return std::unexpected(CurrencyImmutable(books.currency_code, command.currency_code));
  }
  books.credit_limit = command.credit_limit;
  if (command.request.given()) books.request_ids[command.request.id] = command.request.payload_sha256;
  return AccountOf(command.tenant, books);
}

Result<BillingAccount> FakeStore::GetBillingAccount(TenantId tenant) {
  const std::lock_guard lock(mutex_);
  const auto at = books_.find(tenant);
  if (at == books_.end()) return NotFound("no billing account");
  return AccountOf(tenant, at->second);
}

Result<Reservation> FakeStore::Reserve(const ReserveCommand& command, Time now) {
  const std::lock_guard lock(mutex_);
  ReserveState state;
  const auto at = books_.find(command.tenant);
  if (at != books_.end()) {
    state.account = AccountOf(command.tenant, at->second);
    const auto existing = at->second.reservations.find(command.request_id);
    if (existing != at->second.reservations.end()) state.existing = existing->second;
    const auto terminal = at->second.terminal.find(command.request_id);
    if (terminal != at->second.terminal.end()) state.hold = terminal->second;
    const auto recorded = at->second.usage.find(command.request_id);
    state.was_leased = recorded != at->second.usage.end() && recorded->second.lease.has_value();
  }
  const KeyPrice found = PriceOf({command.price_book, command.variant, command.isolation_class},
                                 state.account ? state.account->currency_code : "");
  state.price_book_exists = found.book_exists;
  state.price = found.price;
  ALLOD_TRY(const ReserveDecision decision, DecideReserve(state, command, now));
  if (decision.replay) return decision.reservation;
  Books& books = at->second;
  const Reservation& reservation = decision.reservation;
  if (decision.replaced) {
    // The request stays open: only its newest hold counts.
    Release(books, *decision.replaced, HoldState::kVoided);
    books.terminal.erase(reservation.request_id);
  }
  books.reservations[reservation.request_id] = reservation;
  books.open.emplace(reservation.expire_time, reservation.request_id);
  books.transfers.push_back({.amount = reservation.hold});
  Amount& held = books.accounts.at(std::string(kReceivable)).held;
  held = Sum(held, reservation.hold);
  return reservation;
}

void FakeStore::Release(Books& books, const Reservation& reservation, HoldState state) {
  if (!books.terminal.emplace(reservation.request_id, state).second) std::abort();
  books.open.erase({reservation.expire_time, reservation.request_id});
  Amount& held = books.accounts.at(std::string(kReceivable)).held;
  held = Minus(held, reservation.hold);
  if (state != HoldState::kPosted) books.transfers.push_back({.amount = reservation.hold});
}

void FakeStore::Move(Books& books, std::string_view debit, std::string_view credit, Amount amount) {
  Amount& from = books.accounts.at(std::string(debit)).balance;
  Amount& to = books.accounts.at(std::string(credit)).balance;
  from = Minus(from, amount);
  to = Sum(to, amount);
  books.transfers.push_back(
      {.amount = amount, .posted = true, .debit = std::string(debit), .credit = std::string(credit)});
}

void FakeStore::Post(Books& books, Amount amount) {
  Move(books, kReceivable, kUsageRevenue, amount);
  books.transfers.back().is_usage = true;
}

Result<UsageRecord> FakeStore::Settle(const SettleCommand& command, Time now) {
  const std::lock_guard lock(mutex_);
  SettleState state;
  const auto at = books_.find(command.tenant);
  if (at != books_.end()) {
    const Books& books = at->second;
    const auto reservation = books.reservations.find(command.request_id);
    if (reservation != books.reservations.end()) state.reservation = reservation->second;
    if (const auto hold = books.terminal.find(command.request_id); hold != books.terminal.end())
      state.hold = hold->second;
    if (const auto usage = books.usage.find(command.request_id); usage != books.usage.end())
      state.record = usage->second;
  }
  ALLOD_TRY(const SettleDecision decision, DecideSettle(state, command, now));
  if (decision.replay) return decision.record;
  Books& books = at->second;
  switch (decision.transfer) {
    case SettleTransfer::kPost:
      Release(books, *state.reservation, HoldState::kPosted);
      Post(books, decision.record.cost);
      break;
    case SettleTransfer::kVoid:
      Release(books, *state.reservation, HoldState::kVoided);
      break;
    case SettleTransfer::kLatePost:
      Post(books, decision.record.cost);
      break;
    case SettleTransfer::kNone:
      break;
  }
  books.usage[command.request_id] = decision.record;
  return decision.record;
}

Result<std::vector<TenantId>> FakeStore::TenantsWithDueHolds(Time now, std::optional<TenantId> after, int limit) {
  const std::lock_guard lock(mutex_);
  std::vector<TenantId> out;
  for (auto at = after ? books_.upper_bound(*after) : books_.begin(); at != books_.end(); ++at) {
    const auto& open = at->second.open;
    if (static_cast<int>(out.size()) < limit && !open.empty() && open.begin()->first <= now) out.push_back(at->first);
  }
  return out;
}

Result<int> FakeStore::ExpireReservations(TenantId tenant, Time now, int limit) {
  const std::lock_guard lock(mutex_);
  const auto at = books_.find(tenant);
  if (at == books_.end()) return 0;
  int released = 0;
  while (released < limit && !at->second.open.empty() && at->second.open.begin()->first <= now) {
    const Uuid id = at->second.open.begin()->second;
    Release(at->second, at->second.reservations.at(id), HoldState::kExpired);
    ++released;
  }
  return released;
}

Result<std::vector<UsageRecord>> FakeStore::ListUsageRecords(const UsageQuery& query) {
  const std::lock_guard lock(mutex_);
  std::vector<UsageRecord> out;
  const auto at = books_.find(query.tenant);
  if (at == books_.end()) return out;
  for (auto usage = at->second.usage.rbegin(); usage != at->second.usage.rend(); ++usage) {
    const UsageRecord& record = usage->second;
    if (static_cast<int>(out.size()) == query.limit) break;
    if (query.before && record.request_id >= *query.before) continue;
    if (query.start && record.admit_time < *query.start) continue;
    if (query.end && record.admit_time >= *query.end) continue;
    if (!query.instance.empty() && record.instance != query.instance) continue;
    if (query.instance.empty() && !query.line && !IsOf(query.project, record.instance)) continue;
    if (query.line && !IsOfLine(at->second, record, *query.line)) continue;
    out.push_back(record);
  }
  return out;
}

Result<std::vector<InvoiceLine>> FakeStore::SumMonth(const MonthQuery& query) {
  const std::lock_guard lock(mutex_);
  const std::chrono::year_month_day first(std::chrono::floor<std::chrono::days>(query.month));
  const Time end = std::chrono::sys_days((first.year() / first.month() + std::chrono::months(1)) / 1);
  std::map<std::tuple<std::string, std::string, Uuid, std::string, Amount, Amount>, InvoiceLine> lines;
  std::map<TotalsKey, OpenUsage> invoiced;
  if (const auto at = books_.find(query.tenant); at != books_.end()) {
    invoiced = at->second.invoiced;
    for (const auto& [id, u] : at->second.usage) {
      if (!u.billed || u.admit_time < query.month || u.admit_time >= end) continue;
      if (!IsOf(query.project, u.instance)) continue;
      InvoiceLine& line =
          lines[{u.instance, u.variant, u.price_book, u.isolation_class, u.prompt_price, u.completion_price}];
      line.instance = u.instance;
      line.variant = u.variant;
      line.price_book = u.price_book;
      line.isolation_class = u.isolation_class;
      line.prompt_price = u.prompt_price;
      line.completion_price = u.completion_price;
      line.request_count += 1;
      line.prompt_tokens += u.prompt_tokens - u.excess_prompt_tokens;
      line.completion_tokens += u.completion_tokens - u.excess_completion_tokens;
      line.amount = Sum(line.amount, u.cost);
    }
  }
  std::vector<InvoiceLine> out;
  for (auto& [key, line] : lines) {
    const auto had = invoiced.find({query.month, line.instance, line.variant, line.price_book, line.isolation_class});
    if (had != invoiced.end()) {
      line.request_count -= had->second.requests_invoiced;
      line.prompt_tokens -= had->second.prompt_tokens_invoiced;
      line.completion_tokens -= had->second.completion_tokens_invoiced;
      line.amount = Cost(line.prompt_price, line.prompt_tokens, line.completion_price, line.completion_tokens).value();
      if (line.prompt_tokens == 0 && line.completion_tokens == 0) continue;
    }
    if (out.size() < query.limit) out.push_back(std::move(line));
  }
  return out;
}

Result<std::vector<LedgerAccount>> FakeStore::ListLedgerAccounts(TenantId tenant, const std::string& after, int limit) {
  const std::lock_guard lock(mutex_);
  std::vector<LedgerAccount> out;
  const auto at = books_.find(tenant);
  if (at == books_.end()) return out;
  for (auto account = at->second.accounts.upper_bound(after); account != at->second.accounts.end(); ++account) {
    if (static_cast<int>(out.size()) < limit) out.push_back(account->second);
  }
  return out;
}

Result<TenantAudit> FakeStore::AuditTenant(TenantId tenant, Time now, const std::optional<UsageRange>& recent) {
  const std::lock_guard lock(mutex_);
  TenantAudit audit;
  const auto at = books_.find(tenant);
  if (at == books_.end()) return audit;
  const Books& books = at->second;
  Amount posted, held;
  std::map<std::string, Amount> balances;
  for (const Transfer& transfer : books.transfers) {
    if (transfer.is_usage) posted = Sum(posted, transfer.amount);
    if (!transfer.posted) continue;
    balances[transfer.debit] = Minus(balances[transfer.debit], transfer.amount);
    balances[transfer.credit] = Sum(balances[transfer.credit], transfer.amount);
  }
  for (const auto& [id, reservation] : books.reservations) {
    if (books.terminal.contains(id)) continue;
    held = Sum(held, reservation.hold);
    ++audit.open_hold_count;
    if (reservation.expire_time < now - kOverdueAfter) ++audit.overdue_hold_count;
  }
  AuditLeases(books, LeaseNow(), held, audit);
  for (const auto& [id, record] : books.usage) {
    audit.recorded_usage = Sum(audit.recorded_usage, record.cost);
    if (record.excess_prompt_tokens + record.excess_completion_tokens > 0) ++audit.excess_record_count;
  }
  for (const auto& [code, account] : books.accounts) {
    TenantAudit::Account row{.code = code,
                             .currency_code = account.currency_code,
                             .kept_balance = account.balance,
                             .kept_held = account.held,
                             .balance = balances[code]};
    if (code == kReceivable) row.held = held;
    audit.accounts.push_back(std::move(row));
  }
  audit.transfer_count = static_cast<std::int64_t>(books.transfers.size());
  audit.usage_record_count = static_cast<std::int64_t>(books.usage.size());
  audit.open_reservation_count = static_cast<std::int64_t>(books.open.size());
  audit.posted_usage = posted;
  audit.invoiced_usage = audit.recorded_usage;
  audit.usage = CheckUsageIn(books, kAllUsage, now);
  if (recent) audit.recent_usage = CheckUsageIn(books, *recent, now);
  return audit;
}

Result<std::vector<KnownTenant>> FakeStore::ListKnownTenants(std::optional<TenantId> after, int limit) {
  const std::lock_guard lock(mutex_);
  std::vector<KnownTenant> out;
  for (auto at = after ? books_.upper_bound(*after) : books_.begin(); at != books_.end(); ++at) {
    if (static_cast<int>(out.size()) < limit) out.push_back({.id = at->first, .name = at->second.tenant_name});
  }
  return out;
}

}  // namespace allod::billing
