#include "inference/fairness/fair_share.h"

#include <algorithm>
#include <limits>

namespace allod::inference::fairness {
namespace {

constexpr std::size_t kAccountsMax = 4096;

}  // namespace

double FairShare::Least() const {
  if (active_ == 0) return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [name, account] : accounts_) {
    if (account.working > 0) least = std::min(least, account.served);
  }
  return least;
}

FairShare::Account& FairShare::AccountOf(const std::string& tenant, double weight) {
  ForgetIdle();
  Account& account = accounts_[tenant];
  account.weight = std::max(1.0, weight);
  return account;
}

bool FairShare::Enter(const std::string& tenant, double weight) {
  const double least = Least();
  Account& account = AccountOf(tenant, weight);
  if (account.working++ > 0) return false;
  account.served = std::max(account.served, least);
  ++active_;
  return true;
}

void FairShare::Leave(const std::string& tenant) {
  const auto found = accounts_.find(tenant);
  if (found == accounts_.end() || found->second.working == 0) return;
  if (--found->second.working > 0) return;
  if (--active_ == 0) accounts_.clear();
}

void FairShare::SetWeight(const std::string& tenant, double weight) {
  const auto found = accounts_.find(tenant);
  if (found != accounts_.end()) found->second.weight = std::max(1.0, weight);
}

void FairShare::Charge(const std::string& tenant, double seconds) {
  const auto found = accounts_.find(tenant);
  if (found != accounts_.end() && seconds > 0) found->second.served += seconds / found->second.weight;
}

void FairShare::ChargeAhead(const std::string& tenant, double weight, double seconds) {
  if (active_ == 0) return;  // it kept nobody waiting
  const double least = Least();
  Account& account = AccountOf(tenant, weight);
  if (account.working == 0) account.served = std::max(account.served, least);
  Charge(tenant, seconds);
}

void FairShare::Rise(const std::string& tenant, double served) {
  const auto found = accounts_.find(tenant);
  if (found != accounts_.end()) found->second.served = std::max(found->second.served, served);
}

double FairShare::Served(const std::string& tenant) const {
  const auto found = accounts_.find(tenant);
  if (found == accounts_.end()) return Least();
  return found->second.working > 0 ? found->second.served : std::max(found->second.served, Least());
}

std::size_t FairShare::Pick(std::span<const std::string> waiting) const {
  std::size_t best = 0;
  for (std::size_t i = 1; i < waiting.size(); ++i) {
    if (Served(waiting[i]) < Served(waiting[best])) best = i;
  }
  return best;
}

// An idle account says nothing any more once the active ones have passed it. Beyond the bound all idle ones go.
void FairShare::ForgetIdle() {
  if (accounts_.size() < kAccountsMax) return;
  const double least = Least();
  std::erase_if(accounts_,
                [&](const auto& entry) { return entry.second.working == 0 && entry.second.served <= least; });
  if (accounts_.size() < kAccountsMax) return;
  std::erase_if(accounts_, [](const auto& entry) { return entry.second.working == 0; });
}

}  // namespace allod::inference::fairness
