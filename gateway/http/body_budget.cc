#include "gateway/http/body_budget.h"

#include <utility>

namespace allod::gateway::http {
namespace {

// A body takes a fraction of a second from all but the slowest clients.
constexpr std::chrono::milliseconds kRetryAfter(1000);

std::unexpected<Error> Full(std::string message) {
  Error error{Code::kUnavailable, "BODIES_IN_FLIGHT", std::move(message)};
  error.retry_after = kRetryAfter;
  return std::unexpected(std::move(error));
}

}  // namespace

BodyBudget::Hold::Hold(Hold&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), account_(std::move(other.account_)), bytes_(other.bytes_) {}

BodyBudget::Hold& BodyBudget::Hold::operator=(Hold&& other) noexcept {
  if (this == &other) return *this;
  Release();
  budget_ = std::exchange(other.budget_, nullptr);
  account_ = std::move(other.account_);
  bytes_ = other.bytes_;
  return *this;
}

void BodyBudget::Hold::Release() {
  BodyBudget* budget = std::exchange(budget_, nullptr);
  if (!budget) return;
  const std::lock_guard lock(budget->mutex_);
  budget->used_ -= bytes_;
  Subtract(budget->tenants_, account_.tenant, bytes_);
  Subtract(budget->keys_, account_.key, bytes_);
}

Result<BodyBudget::Hold> BodyBudget::Admit(const BodyAccount& account, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > bytes_max_ - used_) {
    return Full("the gateway is taking in as many request bodies as it may; try again");
  }
  if (HeldBy(tenants_, account.tenant) + bytes > bytes_max_ - used_ - bytes) {
    return Full("request bodies of this tenant take up its share of the gateway; send fewer at a time, then try again");
  }
  if (HeldBy(keys_, account.key) + bytes > bytes_max_ / 4) {
    return Full(
        "request bodies of this API key take up its share of the gateway; send fewer at a time, then try again");
  }
  Hold out;
  out.account_ = account;
  out.bytes_ = bytes;
  out.budget_ = this;
  used_ += bytes;
  tenants_[account.tenant] += bytes;
  keys_[account.key] += bytes;
  return out;
}

std::size_t BodyBudget::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

std::size_t BodyBudget::HeldBy(const Shares& shares, const std::string& name) {
  const auto it = shares.find(name);
  return it == shares.end() ? 0 : it->second;
}

void BodyBudget::Subtract(Shares& shares, const std::string& name, std::size_t bytes) {
  const auto it = shares.find(name);
  it->second -= bytes;
  if (it->second == 0) shares.erase(it);
}

}  // namespace allod::gateway::http
