#include "inference/gate/fair_share.h"

#include <algorithm>
#include <limits>

namespace allod::inference::gate {
namespace {

constexpr std::size_t kAccountsMax = 4096;

}  // namespace

void FairShare::Enter(const std::string& tenant, double weight) {
  if (active_ == 0) accounts_.clear();
  ForgetLongGone();
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [name, account] : accounts_) {
    if (account.working > 0) least = std::min(least, account.served);
  }
  Account& account = accounts_[tenant];
  account.weight = std::max(1.0, weight);
  if (account.working++ > 0) return;
  ++active_;
  if (least != std::numeric_limits<double>::infinity()) account.served = std::max(account.served, least);
}

void FairShare::Leave(const std::string& tenant) {
  const auto found = accounts_.find(tenant);
  if (found == accounts_.end() || found->second.working == 0) return;
  if (--found->second.working == 0) --active_;
}

void FairShare::Charge(const std::string& tenant, double cost) {
  const auto found = accounts_.find(tenant);
  if (found != accounts_.end() && cost > 0) found->second.served += cost / found->second.weight;
}

double FairShare::Cost(std::int64_t prompt_tokens, std::int64_t decode_tokens) const {
  return costs_.prompt * static_cast<double>(std::max<std::int64_t>(0, prompt_tokens)) +
         costs_.decode * static_cast<double>(std::max<std::int64_t>(0, decode_tokens));
}

double FairShare::Served(const std::string& tenant) const {
  const auto found = accounts_.find(tenant);
  return found == accounts_.end() ? 0 : found->second.served;
}

std::size_t FairShare::Pick(std::span<const std::string> waiting) const {
  std::size_t best = 0;
  for (std::size_t i = 1; i < waiting.size(); ++i) {
    if (Served(waiting[i]) < Served(waiting[best])) best = i;
  }
  return best;
}

// An account that does not work says nothing any more once the active ones have passed it.
void FairShare::ForgetLongGone() {
  if (accounts_.size() < kAccountsMax) return;
  std::erase_if(accounts_, [](const auto& entry) { return entry.second.working == 0; });
}

}  // namespace allod::inference::gate
