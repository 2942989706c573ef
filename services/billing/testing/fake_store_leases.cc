// Leases in the store in memory.
#include <algorithm>
#include <cstdlib>
#include <ranges>

#include "services/billing/testing/fake_store.h"

namespace allod::billing {

void FakeStore::Elapse(std::chrono::seconds time) {
  const std::lock_guard lock(mutex_);
  elapsed_ += time;
}

void FakeStore::MoveLeased(Books& books, Lease& lease, Amount amount) {
  if (amount == Amount()) return;
  Amount& held = books.accounts.at(std::string(kReceivable)).held;
  held = Add(held, amount).value();
  lease.remaining = Add(lease.remaining, amount).value();
  const Amount size = amount < Amount() ? Subtract(Amount(), amount).value() : amount;
  books.transfers.push_back({.amount = size, .lease = lease.id, .leased = amount});
}

Result<LeaseAdjustment> FakeStore::AdjustLease(const AdjustLeaseCommand& command) {
  const std::lock_guard lock(mutex_);
  AdjustLeaseState state{.now = LeaseNow()};
  const auto at = books_.find(command.tenant);
  if (at != books_.end()) {
    state.account = AccountOf(command.tenant, at->second);
    const auto lease = at->second.leases.find(command.lease_id);
    if (lease != at->second.leases.end()) state.lease = lease->second;
    for (const PriceKey& terms : command.terms) {
      state.prices.push_back(PriceOf(terms, state.account->currency_code));
    }
  }
  const Result<AdjustLeaseDecision> decision = DecideAdjustLease(state, command);
  if (!decision && decision.error().code != Code::kResourceExhausted) return std::unexpected(decision.error());
  if (!decision) {
    LeaseAdjustment out{.refused = decision.error()};
    for (auto& [id, other] : at->second.leases) {
      if (id == command.lease_id || other.ended || other.remaining == Amount()) continue;
      other.recalled = true;
      out.recalls.push_back({other.gateway, id});
    }
    if (!out.recalls.empty()) out.refused->retry_after = kRecallTime;
    return out;
  }
  if (!decision->replay) {
    Lease& kept = at->second.leases[command.lease_id];
    const Amount before = kept.remaining;
    kept = decision->lease;
    kept.remaining = before;
    MoveLeased(at->second, kept, Subtract(Amount(), decision->returned).value());
    MoveLeased(at->second, kept, kept.added);
    if (kept.remaining != decision->lease.remaining) std::abort();
  }
  return LeaseAdjustment{.lease = AnswerOf(state, *decision)};
}

KeyPrice FakeStore::PriceOf(const PriceKey& terms, const std::string& currency_code) const {
  const auto book = price_books_.find(terms.price_book);
  if (book == price_books_.end()) return {};
  return {.book_exists = true,
          .price = FindPrice(book->second.prices, currency_code, VariantId(terms.variant), terms.isolation_class)};
}

SettleBatchState FakeStore::BatchState(const SettleBatchCommand& command) const {
  SettleBatchState state;
  const auto at = books_.find(command.tenant);
  if (at == books_.end()) return state;
  const Books& books = at->second;
  state.currency_code = books.currency_code;
  state.leases = books.leases;
  for (const LeasedUsage& usage : command.usage) {
    const auto record = books.usage.find(usage.request_id);
    if (record != books.usage.end()) state.records.emplace(usage.request_id, record->second);
    if (books.reservations.contains(usage.request_id)) state.reserved.insert(usage.request_id);
    state.prices.emplace(usage.terms, PriceOf(usage.terms, books.currency_code));
  }
  return state;
}

Result<std::vector<Result<SettledUsage>>> FakeStore::SettleBatch(const SettleBatchCommand& command, Time now) {
  const std::lock_guard lock(mutex_);
  std::vector<Result<SettledUsage>> out;
  for (const Result<LeasedDecision>& decision : DecideSettleBatch(BatchState(command), command, now)) {
    if (!decision) {
      out.push_back(std::unexpected(decision.error()));
      continue;
    }
    out.push_back(SettledUsage{.cost = decision->record.cost});
    if (decision->replay) continue;
    Books& books = books_.at(command.tenant);
    if (decision->transfer != LeasedTransfer::kNone) {
      Post(books, decision->record.cost);
      Transfer& transfer = books.transfers.back();
      transfer.is_short = decision->transfer == LeasedTransfer::kShortPost;
      if (decision->transfer == LeasedTransfer::kPost) {
        Lease& lease = books.leases.at(*decision->record.lease);
        transfer.lease = lease.id;
        transfer.leased = Subtract(Amount(), transfer.amount).value();
        lease.remaining = Subtract(lease.remaining, transfer.amount).value();
        Amount& held = books.accounts.at(std::string(kReceivable)).held;
        held = Subtract(held, transfer.amount).value();
      }
    }
    if (!books.usage.emplace(decision->record.request_id, decision->record).second) std::abort();
  }
  return out;
}

Result<std::vector<LeaseKey>> FakeStore::LeasesBesides(Uuid gateway, const std::vector<Uuid>& current,
                                                       std::optional<LeaseKey> after, int limit) {
  const std::lock_guard lock(mutex_);
  std::vector<LeaseKey> out;
  for (const auto& [tenant, books] : books_) {
    for (const auto& [id, lease] : books.leases) {
      if (lease.ended || lease.gateway != gateway || std::ranges::count(current, id) > 0) continue;
      if (after && LeaseKey{tenant, id} <= *after) continue;
      if (static_cast<int>(out.size()) < limit) out.push_back({tenant, id});
    }
  }
  return out;
}

int FakeStore::End(Books& books, const std::vector<Uuid>& leases) {
  int ended = 0;
  for (const Uuid& id : leases) {
    const auto lease = books.leases.find(id);
    if (lease == books.leases.end() || lease->second.ended) continue;
    MoveLeased(books, lease->second, Subtract(Amount(), lease->second.remaining).value());
    lease->second.ended = true;
    ++ended;
  }
  return ended;
}

Result<int> FakeStore::EndLeases(TenantId tenant, const std::vector<Uuid>& leases) {
  const std::lock_guard lock(mutex_);
  const auto at = books_.find(tenant);
  return at == books_.end() ? 0 : End(at->second, leases);
}

Result<std::vector<TenantId>> FakeStore::TenantsWithDueLeases(std::optional<TenantId> after, int limit) {
  const std::lock_guard lock(mutex_);
  std::vector<TenantId> out;
  for (auto at = after ? books_.upper_bound(*after) : books_.begin(); at != books_.end(); ++at) {
    const bool due = std::ranges::any_of(at->second.leases | std::views::values, [&](const Lease& lease) {
      return !lease.ended && lease.expire_time <= LeaseNow();
    });
    if (due && static_cast<int>(out.size()) < limit) out.push_back(at->first);
  }
  return out;
}

Result<int> FakeStore::ExpireLeases(TenantId tenant, int limit) {
  const std::lock_guard lock(mutex_);
  const auto at = books_.find(tenant);
  if (at == books_.end()) return 0;
  std::vector<std::pair<Time, Uuid>> due;
  for (const auto& [id, lease] : at->second.leases) {
    if (!lease.ended && lease.expire_time <= LeaseNow()) due.emplace_back(lease.expire_time, id);
  }
  std::ranges::sort(due);
  std::vector<Uuid> oldest;
  for (const auto& [time, id] : due) {
    if (static_cast<int>(oldest.size()) < limit) oldest.push_back(id);
  }
  return End(at->second, oldest);
}

void FakeStore::AuditLeases(const Books& books, Time now, Amount& held, TenantAudit& audit) {
  std::map<Uuid, Amount> remaining;
  for (const Transfer& transfer : books.transfers) {
    held = Add(held, transfer.leased).value();
    if (!transfer.lease.is_nil()) {
      remaining[transfer.lease] = Add(remaining[transfer.lease], transfer.leased).value();
    }
    if (transfer.is_short) ++audit.short_record_count;
  }
  for (const auto& [id, lease] : books.leases) {
    if (lease.remaining != remaining[id]) audit.mismatched_leases.push_back(id);
    if (lease.ended) continue;
    ++audit.open_lease_count;
    if (lease.expire_time < now - kOverdueAfter) ++audit.overdue_lease_count;
  }
}

}  // namespace allod::billing
