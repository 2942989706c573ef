// The InstanceTimeStore in memory, for tests: counts as PgInstanceTimeStore does, by the clock that it is given, and
// moves no money. Thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "services/billing/instance_time/instance_time_store.h"
#include "services/billing/store.h"
#include "services/common/clock.h"

namespace allod::billing::instance_time {

class FakeInstanceTimeStore final : public InstanceTimeStore {
 public:
  // `books` has the accounts and prices.
  FakeInstanceTimeStore(Store& books, const Clock& clock) : books_(books), clock_(clock) {}

  Result<RecordedTime> RecordInstanceTime(TenantId tenant, const std::vector<InstanceInterval>& intervals) override {
    ALLOD_TRY(const BillingAccount account, books_.GetBillingAccount(tenant));
    const std::lock_guard lock(mutex_);
    RecordedTime out{.credit_used_up = account.posted >= account.credit_limit};
    for (const InstanceInterval& told : intervals) {
      const auto key = std::tuple(tenant, told.replica, told.start);
      const auto known = known_.find(key);
      KeyPrice price;
      if (const auto book = books_.GetPriceBook(told.terms.price_book)) {
        price = {true, FindPrice(book->prices, account.currency_code, VariantId(told.terms.variant),
                                 told.terms.isolation_class)};
      }
      const auto decided = DecideInstanceTime(known == known_.end() ? std::nullopt : std::optional(known->second), told,
                                              price, account.currency_code, clock_.Now());
      if (!decided) {
        out.intervals.push_back(std::unexpected(decided.error()));
        continue;
      }
      for (const TimeEntry& entry : decided->entries) Count(tenant, told, *decided, entry);
      if (!decided->entries.empty()) {
        InstanceInterval counted = told;
        counted.until = decided->entries.back().until;
        known_.insert_or_assign(key, KnownInterval{std::move(counted), decided->second_price});
      }
      out.intervals.push_back(RecordedTime::One{.costs = decided->second_price > Amount()});
    }
    return out;
  }

  Result<std::vector<InstanceTimeTotal>> ListInstanceTime(const InstanceTimeQuery& query) override {
    const std::lock_guard lock(mutex_);
    std::vector<InstanceTimeTotal> out;
    for (const auto& [key, total] : totals_) {
      const bool in_project = query.project.empty() ||
                              total.instance.find("/projects/" + query.project + "/instances/") != std::string::npos;
      if (std::get<0>(key) != query.tenant || (query.month && total.month != *query.month) || !in_project) continue;
      out.push_back(total);
    }
    const auto place = [](const InstanceTimeTotal& time) { return std::tuple(time.instance, time.id); };
    std::ranges::sort(out, {}, place);
    std::erase_if(out, [&](const InstanceTimeTotal& time) {
      return place(time) <= std::tuple(query.after.instance, query.after.id);
    });
    if (std::ssize(out) > query.limit) out.resize(static_cast<std::size_t>(query.limit));
    return out;
  }

 private:
  void Count(TenantId tenant, const InstanceInterval& told, const TimeDecision& decision, const TimeEntry& entry) {
    if (entry.seconds == 0) return;
    InstanceTimeTotal& total = totals_[{tenant, entry.month, told.instance, told.terms}];
    if (total.seconds == 0) {
      total = {Uuid::V7(), entry.month, told.instance, told.terms, decision.second_price};
    }
    total.seconds += entry.seconds;
    total.amount = Add(total.amount, entry.cost).value();
  }

  Store& books_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::tuple<TenantId, Uuid, Time>, KnownInterval> known_;
  std::map<std::tuple<TenantId, Time, std::string, PriceKey>, InstanceTimeTotal> totals_;
};

}  // namespace allod::billing::instance_time
