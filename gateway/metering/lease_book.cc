#include "gateway/metering/lease_book.h"

#include <algorithm>

#include "gateway/metering/lease_pace.h"

namespace allod::gateway::metering {
namespace {

constexpr std::size_t kPricesMax = 64;

}  // namespace

const TokenPrices* LeaseBook::PricesOf(const PriceKey& terms) const {
  const auto found = std::ranges::find(prices_, terms, &std::pair<PriceKey, TokenPrices>::first);
  return found == prices_.end() ? nullptr : &found->second;
}

bool LeaseBook::TryTake(Amount amount, SteadyTime now) {
  if (!admits(now) || amount > free_) return false;
  free_ = free_ - amount;
  outstanding_ = outstanding_ + amount;
  demand_.Add(amount, now);
  last_use_ = now;
  return true;
}

bool LeaseBook::TryExchange(const Uuid& lease, Amount held, Amount amount, SteadyTime now) {
  if (!open() || lease != id_ || now >= ends_ || amount > free_ + held) return false;
  free_ = free_ + held - amount;
  outstanding_ = outstanding_ - held + amount;
  demand_.Add(std::max(amount - held, Amount()), now);
  last_use_ = now;
  return true;
}

void LeaseBook::Settle(const Uuid& lease, Amount held, Amount cost) {
  if (!open() || lease != id_) return;
  outstanding_ = std::max(outstanding_ - held, Amount());
  free_ = free_ + std::max(held - cost, Amount());
}

void LeaseBook::Recall(const Uuid& lease) { recalled_ = recalled_ || (open() && lease == id_); }

Amount LeaseBook::Target(SteadyTime now) const {
  return std::max(demand_.lately(now), Times(demand_.largest(now), kRequestsKept));
}

std::optional<LeaseBook::Ask> LeaseBook::AskFor(const Waiting& waiting, SteadyTime now) const {
  Ask ask = NextAsk();
  if (waiting.unpriced) {
    ask.terms = waiting.unpriced;
    return ask;
  }
  if (admits(now) && waiting.first <= free_) return std::nullopt;
  ask.need = std::max(waiting.first - free_, Amount());
  const Amount more = std::max(Target(now), Times(waiting.first, kRequestsKept));
  const bool modest = now < no_top_up_before_;
  ask.want = std::max(ask.need, modest ? Amount() : waiting.all + more - free_);
  return ask;
}

LeaseBook::Step LeaseBook::Send(Ask ask, SteadyTime now) {
  ask.budgets_version = budgets_.version();
  doubts_budgets_ = false;
  budgets_.OnSent(ask.slices);
  given_ = ask.end ? free_ : ask.give_back;
  free_ = free_ - given_;
  asked_ = ask;
  asked_at_ = now;
  return {.ask = std::move(ask)};
}

LeaseBook::Step LeaseBook::Plan(const Waiting* waiting, Mood mood, SteadyTime now) {
  low_ = Half(Target(now));
  if (mood == Mood::kEnding) {
    if (!open()) return {};
    Ask ask = NextAsk();
    ask.end = outstanding_ == Amount();
    if (!ask.end) ask.give_back = free_;
    return ask.end || free_ > Amount() ? Step{.ask = std::move(ask)} : Step();
  }
  // Before anything is asked for: else two gateways could wait for what both have.
  if (recalled_ && free_ > Amount()) {
    Ask ask = NextAsk();
    ask.give_back = free_;
    recalled_ = false;
    no_top_up_before_ = now + kModestFor;
    return {.ask = std::move(ask)};
  }
  if (waiting != nullptr) {
    if (auto ask = AskFor(*waiting, now)) return {.ask = *std::move(ask)};
  }
  if (!open()) return {};
  if (now >= last_use_ + kEndAfter && outstanding_ == Amount()) {
    Ask ask = NextAsk();
    ask.end = true;
    return {.ask = std::move(ask)};
  }
  if (now >= last_use_ + kGiveBackAfter && free_ > Amount()) {
    Ask ask = NextAsk();
    ask.give_back = free_;
    return {.ask = std::move(ask)};
  }
  const bool top_up = free_ < low_ && now >= no_top_up_before_ && now < last_use_ + kGiveBackAfter;
  if (top_up || (is_used() && now >= renew_)) {
    Ask ask = NextAsk();
    if (top_up) ask.want = Target(now) - free_;
    return {.ask = std::move(ask)};
  }
  SteadyTime until = is_used() ? renew_ : SteadyTime::max();
  if (free_ > Amount()) until = std::min(until, last_use_ + kGiveBackAfter);
  if (outstanding_ == Amount()) until = std::min(until, last_use_ + kEndAfter);
  return {.until = until};
}

LeaseBook::Step LeaseBook::NextStep(const Waiting* waiting, Mood mood, SteadyTime now) {
  if (asked_) return {};
  Step step = Plan(waiting, mood, now);
  if (step.ask && step.ask->end) return Send(*std::move(step.ask), now);
  // A lease that is not there yet is to be made first: its answer says which budgets there are.
  if (!open()) return step.ask ? Send(*std::move(step.ask), now) : step;
  std::vector<BudgetBook::Ask> slices =
      budgets_.NextAsks(waiting == nullptr ? BudgetBook::AllWaiting() : waiting->slices, mood == Mood::kEnding, now);
  if (!step.ask && (!slices.empty() || doubts_budgets_)) step.ask = NextAsk();
  if (!step.ask) {
    if (step.until) step.until = std::min(*step.until, budgets_.until(now));
    return step;
  }
  step.ask->slices = std::move(slices);
  return Send(*std::move(step.ask), now);
}

void LeaseBook::OnAdjusted(const Answer& answer, SteadyTime now) {
  const Ask ask = *std::exchange(asked_, std::nullopt);
  if (ask.terms && answer.prices) {
    if (prices_.size() >= kPricesMax) prices_.erase(prices_.begin());
    prices_.emplace_back(*ask.terms, *answer.prices);
  }
  if (ask.end) return OnGone();
  budgets_.OnAdjusted(ask.slices, answer.slices, now);
  for (const Uuid& budget : answer.recalled_budgets) budgets_.Recall(budget);
  if (answer.budgets_version) budgets_.Replace(*answer.budgets_version, answer.rules);
  if (epoch_ == 0) last_use_ = now;
  epoch_ = ask.epoch;
  free_ = free_ + answer.added;
  admit_until_ = asked_at_ + answer.admit_for;
  ends_ = asked_at_ + answer.ends_after;
  renew_ = asked_at_ + answer.admit_for / 2;
  recalled_ = recalled_ || answer.recalled;
  if (answer.added < Half(ask.want)) no_top_up_before_ = now + kModestFor;
}

void LeaseBook::OnRefused() {
  budgets_.OnRefused(asked_->slices);
  asked_.reset();
  free_ = free_ + given_;
}

void LeaseBook::OnGone() {
  asked_.reset();
  budgets_.OnGone();
  id_ = Uuid();
  epoch_ = 0;
  free_ = outstanding_ = Amount();
  recalled_ = false;
}

}  // namespace allod::gateway::metering
