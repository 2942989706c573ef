// A queue that is fair between tenants: who was served the fewest tokens, relative to its weight, comes next.
//
// This is the virtual token counter of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024): each
// tenant has a counter of the tokens it was served, divided by its weight; the tenant with the lowest counter is next;
// one that was idle starts at the level of those that are busy, so idleness earns no credit. Within a tenant the order
// is first come, first served. Pure; for one thread at a time. Tenants are forgotten when they are idle.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

namespace allod::inference {

template <typename Item>
class FairQueue {
 public:
  void Push(const std::string& tenant, double weight, Item item) {
    Account& account = Activate(tenant);
    account.weight = weight > 0 ? weight : 1;
    account.waiting.push_back(std::move(item));
    ++size_;
  }

  std::int32_t size() const { return size_; }
  std::int32_t WaitingOf(const std::string& tenant) const {
    const auto found = accounts_.find(tenant);
    return found == accounts_.end() ? 0 : static_cast<std::int32_t>(found->second.waiting.size());
  }

  // What a tenant was served. It must have an item here or run.
  void Charge(const std::string& tenant, double tokens) {
    if (const auto found = accounts_.find(tenant); found != accounts_.end()) {
      found->second.served += tokens / found->second.weight;
    }
  }
  // The counter, for ordering what runs.
  double ServedOf(const std::string& tenant) const {
    const auto found = accounts_.find(tenant);
    return found == accounts_.end() ? level_ : found->second.served;
  }
  // One of its items came to its end; each item taken must be given back once.
  void Done(const std::string& tenant) {
    const auto found = accounts_.find(tenant);
    if (found == accounts_.end()) return;
    --found->second.running;
    Forget(found);
  }

  enum class Verdict { kTake, kSkipTenant, kStop };
  // Offers the first item of each tenant, the least served tenant first. `decide(item)` takes it, leaves that tenant
  // for now (it is at a limit of its own), or stops, so that nobody overtakes a tenant whose turn it is. Items taken go
  // to `take(item)`.
  template <typename Decide, typename Take>
  void Offer(Decide decide, Take take) {
    std::map<std::pair<double, std::string>, Account*> order;
    std::map<std::pair<double, std::string>, Account*> later;  // those that were given something
    for (auto& [tenant, account] : accounts_) {
      if (!account.waiting.empty()) order.emplace(std::pair(account.served, tenant), &account);
    }
    while (!order.empty()) {
      Account& account = *order.begin()->second;
      switch (decide(account.waiting.front())) {
        case Verdict::kStop:
          return;
        case Verdict::kSkipTenant:
          order.erase(order.begin());
          break;
        case Verdict::kTake: {
          Item item = std::move(account.waiting.front());
          account.waiting.pop_front();
          --size_;
          ++account.running;
          take(std::move(item));
          // Its tokens are counted only as they are computed: until then the others go first.
          auto [key, value] = *order.begin();
          order.erase(order.begin());
          if (!account.waiting.empty()) later.emplace(std::move(key), value);
          break;
        }
      }
      if (order.empty()) order.swap(later);
    }
  }

  template <typename Predicate, typename Drop>
  void EraseIf(Predicate predicate, Drop drop) {
    for (auto it = accounts_.begin(); it != accounts_.end();) {
      std::deque<Item>& waiting = it->second.waiting;
      for (auto item = waiting.begin(); item != waiting.end();) {
        if (!predicate(*item)) {
          ++item;
          continue;
        }
        drop(*item);
        item = waiting.erase(item);
        --size_;
      }
      it = Forget(it);
    }
  }

 private:
  struct Account {
    double served = 0;
    double weight = 1;
    std::int32_t running = 0;
    std::deque<Item> waiting;
  };
  using Accounts = std::map<std::string, Account>;

  Account& Activate(const std::string& tenant) {
    const auto found = accounts_.find(tenant);
    if (found != accounts_.end()) return found->second;
    if (!accounts_.empty()) {
      level_ =
          std::ranges::min_element(accounts_, {}, [](const auto& one) { return one.second.served; })->second.served;
    }
    Account& account = accounts_[tenant];
    account.served = level_;
    return account;
  }
  typename Accounts::iterator Forget(typename Accounts::iterator it) {
    if (it->second.running > 0 || !it->second.waiting.empty()) return std::next(it);
    level_ = std::max(level_, it->second.served);
    return accounts_.erase(it);
  }

  Accounts accounts_;
  double level_ = 0;
  std::int32_t size_ = 0;
};

}  // namespace allod::inference
