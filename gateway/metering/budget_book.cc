#include "gateway/metering/budget_book.h"

#include <algorithm>

#include "gateway/metering/lease_pace.h"

namespace allod::gateway::metering {
namespace {

// The milliseconds of a UUIDv7.
Time AdmittedAt(const Uuid& id) {
  std::int64_t ms = 0;
  for (int i = 0; i < 6; ++i) ms = ms << 8 | id.bytes()[static_cast<std::size_t>(i)];
  return Time(std::chrono::milliseconds(ms));
}

// "p" of "tenants/t/projects/p/instances/i".
std::string_view ProjectOf(std::string_view instance) {
  for (int i = 0; i < 3; ++i) {
    const std::size_t slash = instance.find('/');
    if (slash == std::string_view::npos) return {};
    instance.remove_prefix(slash + 1);
  }
  return instance.substr(0, instance.find('/'));
}

bool IsOrAny(const std::string& wanted, std::string_view is) { return wanted.empty() || wanted == is; }

std::optional<Time> StartOf(const BudgetRule& rule, Time admitted) {
  switch (rule.period) {
    case BudgetRule::Period::kTotal:
      return Time();
    case BudgetRule::Period::kRange:
      if (admitted < rule.start || admitted >= rule.end) return std::nullopt;
      return rule.start;
    case BudgetRule::Period::kMonth: {
      const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(admitted));
      return std::chrono::sys_days(day.year() / day.month() / 1);
    }
  }
  return std::nullopt;
}

}  // namespace

void BudgetBook::Replace(std::int64_t version, std::vector<BudgetRule> rules) {
  version_ = version;
  rules_ = std::move(rules);
  std::erase_if(slices_, [this](const auto& entry) { return RuleOf(entry.first) == nullptr; });
  // What is free goes back: the amount may be another.
  for (auto& [key, slice] : slices_) slice.recalled = true;
}

const BudgetRule* BudgetBook::RuleOf(const SliceKey& key) const {
  const auto found = std::ranges::find(rules_, key.budget, &BudgetRule::uid);
  return found == rules_.end() ? nullptr : &*found;
}

std::vector<SliceKey> BudgetBook::SlicesFor(const Spender& spender) const {
  std::vector<SliceKey> out;
  if (rules_.empty() || spender.request.is_nil()) return out;
  const std::string_view project = ProjectOf(spender.instance);
  for (const BudgetRule& rule : rules_) {
    if (!IsOrAny(rule.project, project) || !IsOrAny(rule.api_key, spender.api_key) ||
        !IsOrAny(rule.instance, spender.instance)) {
      continue;
    }
    if (const auto start = StartOf(rule, AdmittedAt(spender.request))) out.push_back({rule.uid, *start});
  }
  return out;
}

Amount BudgetBook::LackOf(const Spender& spender, const SliceKey& key, Amount amount) const {
  const auto taken = taken_.find(spender.request);
  if (taken == taken_.end()) return amount;
  const auto part = std::ranges::find(taken->second, key, &Taken::key);
  return part == taken->second.end() ? amount : amount - part->amount;
}

Amount BudgetBook::free(const SliceKey& key) const {
  const auto found = slices_.find(key);
  return found == slices_.end() ? Amount() : found->second.free;
}

bool BudgetBook::Covers(const Spender& spender, const std::vector<SliceKey>& keys, Amount amount) const {
  return std::ranges::all_of(keys, [&](const SliceKey& key) { return LackOf(spender, key, amount) <= free(key); });
}

void BudgetBook::Take(const Spender& spender, const std::vector<SliceKey>& keys, Amount amount, SteadyTime now) {
  if (keys.empty()) return;
  std::vector<Taken>& all = taken_[spender.request];
  for (const SliceKey& key : keys) {
    Slice& slice = slices_[key];
    const Amount more = LackOf(spender, key, amount);
    slice.free = slice.free - more;
    slice.outstanding = slice.outstanding + more;
    slice.demand.Add(std::max(more, Amount()), now);
    slice.last_use = now;
    is_low_ = is_low_ || (slice.free < slice.low && now >= slice.no_top_up_before);
    const auto part = std::ranges::find(all, key, &Taken::key);
    if (part == all.end()) {
      all.push_back({key, amount});
    } else {
      part->amount = amount;
    }
  }
}

std::vector<SliceKey> BudgetBook::TakenFrom(const Uuid& request) const {
  std::vector<SliceKey> out;
  const auto taken = taken_.find(request);
  if (taken == taken_.end()) return out;
  for (const Taken& part : taken->second) out.push_back(part.key);
  return out;
}

void BudgetBook::Settle(const Uuid& request, Amount cost) {
  const auto taken = taken_.find(request);
  if (taken == taken_.end()) return;
  for (const Taken& part : taken->second) {
    const auto found = slices_.find(part.key);
    if (found == slices_.end()) continue;  // the budget is not there any more
    Slice& slice = found->second;
    slice.outstanding = std::max(slice.outstanding - part.amount, Amount());
    slice.free = slice.free + std::max(part.amount - cost, Amount());
  }
  taken_.erase(taken);
}

void BudgetBook::Recall(const Uuid& budget) {
  for (auto& [key, slice] : slices_) slice.recalled = slice.recalled || key.budget == budget;
}

bool BudgetBook::has_recalled() const {
  return std::ranges::any_of(slices_,
                             [](const auto& entry) { return entry.second.recalled && entry.second.free > Amount(); });
}

Amount BudgetBook::Target(const Slice& slice, SteadyTime now) {
  return std::max(slice.demand.lately(now), Times(slice.demand.largest(now), kRequestsKept));
}

BudgetBook::Ask BudgetBook::AskOf(const SliceKey& key, Slice& slice, const Waiting* waiting, bool ending,
                                  SteadyTime now) const {
  Ask ask{.key = key};
  const Amount target = Target(slice, now);
  slice.low = Half(target);
  // Before anything is asked for, as with leases: else two gateways could wait for what both have.
  if (ending || (slice.recalled && slice.free > Amount())) {
    ask.give_back = slice.free;
    if (slice.recalled) slice.no_top_up_before = now + kModestFor;
    slice.recalled = false;
    return ask;
  }
  slice.recalled = false;
  const bool modest = now < slice.no_top_up_before;
  if (waiting != nullptr && waiting->first > slice.free) {
    ask.need = waiting->first - slice.free;
    const Amount more = std::max(target, Times(waiting->first, kRequestsKept));
    ask.want = std::max(ask.need, modest ? Amount() : waiting->all + more - slice.free);
  } else if (waiting == nullptr && now >= slice.last_use + kGiveBackAfter) {
    ask.give_back = slice.free;
  } else if (slice.free < slice.low && !modest && now < slice.last_use + kGiveBackAfter) {
    ask.want = target - slice.free;
  }
  return ask;
}

std::vector<BudgetBook::Ask> BudgetBook::NextAsks(const AllWaiting& waiting, bool ending, SteadyTime now) {
  is_low_ = false;
  for (const auto& [key, _] : waiting) {
    if (RuleOf(key) == nullptr) continue;
    const auto [slice, is_new] = slices_.try_emplace(key);
    if (is_new) slice->second.last_use = now;
  }
  std::vector<Ask> out;
  for (auto& [key, slice] : slices_) {
    if (out.size() >= kAsksMax) break;
    const auto who = waiting.find(key);
    const Ask ask = AskOf(key, slice, who == waiting.end() ? nullptr : &who->second, ending, now);
    if (ask.want > Amount() || ask.give_back > Amount()) out.push_back(ask);
  }
  std::erase_if(slices_, [&](const auto& entry) {
    const Slice& slice = entry.second;
    return slice.free == Amount() && slice.outstanding == Amount() && now >= slice.last_use + kEndAfter &&
           std::ranges::find(out, entry.first, &Ask::key) == out.end();
  });
  return out;
}

BudgetBook::SteadyTime BudgetBook::until(SteadyTime now) const {
  SteadyTime out = SteadyTime::max();
  for (const auto& [key, slice] : slices_) {
    if (slice.free > Amount()) out = std::min(out, std::max(now, slice.last_use + kGiveBackAfter));
  }
  return out;
}

void BudgetBook::OnSent(const std::vector<Ask>& asks) {
  for (const Ask& ask : asks) {
    Slice& slice = slices_[ask.key];
    slice.free = slice.free - ask.give_back;
  }
}

void BudgetBook::OnAdjusted(const std::vector<Ask>& asks, const std::vector<Answer>& answers, SteadyTime now) {
  for (std::size_t i = 0; i < asks.size() && i < answers.size(); ++i) {
    const Answer& answer = answers[i];
    if (!answer.exists) {
      slices_.erase(asks[i].key);
      continue;
    }
    const auto found = slices_.find(asks[i].key);
    if (found == slices_.end()) continue;
    found->second.free = found->second.free + answer.added;
    if (answer.added < Half(asks[i].want)) found->second.no_top_up_before = now + kModestFor;
  }
}

void BudgetBook::OnRefused(const std::vector<Ask>& asks) {
  for (const Ask& ask : asks) {
    const auto found = slices_.find(ask.key);
    if (found != slices_.end()) found->second.free = found->second.free + ask.give_back;
  }
}

void BudgetBook::OnGone() {
  slices_.clear();
  taken_.clear();
}

}  // namespace allod::gateway::metering
