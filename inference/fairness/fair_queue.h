// A queue that is fair between tenants: who was served least, by FairShare, comes next.
//
// Within a tenant the order is first come, first served. A tenant counts as active from its first item here until the
// last that was taken is given back. Pure; for one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "inference/fairness/fair_share.h"

namespace allod::inference::fairness {

template <typename Item>
class FairQueue {
 public:
  void Push(const std::string& tenant, double weight, Item item) {
    Account& account = accounts_[tenant];
    if (account.waiting.empty() && account.running == 0) shares_.Enter(tenant, weight);
    shares_.SetWeight(tenant, weight);
    account.waiting.push_back(std::move(item));
    ++size_;
  }

  std::int32_t size() const { return size_; }
  std::int32_t WaitingOf(const std::string& tenant) const {
    const auto found = accounts_.find(tenant);
    return found == accounts_.end() ? 0 : static_cast<std::int32_t>(found->second.waiting.size());
  }

  struct Limits {
    std::int32_t all = 0;
    std::int32_t tenant = 0;
  };
  // What became of an item for which there may be no place.
  struct Pushed {
    std::optional<Item> refused;    // the item itself: the queue is as it was
    std::optional<Item> displaced;  // of another tenant, to make room for it
    std::int32_t waiting = 0;       // so many wait where one was too many
  };
  // Push(), within limits. When the queue is full, the last of the tenant that has most waiting makes way for one of a
  // tenant that has fewer.
  Pushed PushWithin(const Limits& limits, const std::string& tenant, double weight, Item item) {
    Pushed out;
    const bool tenant_is_full = WaitingOf(tenant) >= limits.tenant;
    const bool is_full = size_ >= limits.all;
    out.waiting = tenant_is_full ? limits.tenant : limits.all;
    if (is_full && !tenant_is_full) out.displaced = GiveWayTo(tenant);
    if (tenant_is_full || (is_full && !out.displaced)) {
      out.refused = std::move(item);
    } else {
      Push(tenant, weight, std::move(item));
    }
    return out;
  }

  // Seconds that a tenant was served. It must have an item here or run.
  void Charge(const std::string& tenant, double seconds) { shares_.Charge(tenant, seconds); }
  // What it cost before it had anything here, or though it never had.
  void ChargeAhead(const std::string& tenant, double weight, double seconds) {
    shares_.ChargeAhead(tenant, weight, seconds);
  }
  // See FairShare.
  void Rise(const std::string& tenant, double served) { shares_.Rise(tenant, served); }
  // The counter, for ordering what runs.
  double ServedOf(const std::string& tenant) const { return shares_.Served(tenant); }
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
      if (!account.waiting.empty()) order.emplace(std::pair(shares_.Served(tenant), tenant), &account);
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
          // Its time is counted only as it is used: until then the others go first.
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
    std::int32_t running = 0;
    std::deque<Item> waiting;
  };
  using Accounts = std::map<std::string, Account>;

  // For an item of `tenant` when there is no place: the last one of the tenant that has most waiting, taken out, if
  // that one has more waiting than `tenant` will have with the new one.
  std::optional<Item> GiveWayTo(const std::string& tenant) {
    auto most = accounts_.end();
    for (auto it = accounts_.begin(); it != accounts_.end(); ++it) {
      if (most == accounts_.end() || it->second.waiting.size() > most->second.waiting.size()) most = it;
    }
    if (most == accounts_.end() || std::ssize(most->second.waiting) <= WaitingOf(tenant) + 1) return std::nullopt;
    std::optional<Item> out(std::move(most->second.waiting.back()));
    most->second.waiting.pop_back();
    --size_;
    return out;
  }

  typename Accounts::iterator Forget(typename Accounts::iterator it) {
    if (it->second.running > 0 || !it->second.waiting.empty()) return std::next(it);
    shares_.Leave(it->first);
    return accounts_.erase(it);
  }

  FairShare shares_;
  Accounts accounts_;
  std::int32_t size_ = 0;
};

}  // namespace allod::inference::fairness
