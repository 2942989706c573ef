// Who computes next: a virtual token counter for each tenant, and the least served that waits goes first.
//
// After Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024): a tenant's counter grows by the cost of
// the tokens that it was served, divided by its weight. One that was away comes back with a counter lifted to the least
// of those that are active, so that nobody saves up service, and nobody is starved: while somebody waits, its counter
// stands still and the others' grow. When nobody is active what was is forgotten: it kept nobody waiting.
//
// Pure and deterministic; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace allod::inference::gate {

// What a token costs. A decoded token reads all weights for one row of work; a prompt's tokens share that reading.
struct TokenCosts {
  double prompt = 1;
  double decode = 4;
};

class FairShare {
 public:
  explicit FairShare(TokenCosts costs = {}) : costs_(costs) {}

  // A tenant has work (again); called for each of its workers that does. `weight` is at least 1.
  void Enter(const std::string& tenant, double weight);
  // One of its workers has no more work. Unknown tenants are ignored.
  void Leave(const std::string& tenant);
  // Unknown tenants are ignored, negative counts are nothing.
  void Charge(const std::string& tenant, double cost);
  double Cost(std::int64_t prompt_tokens, std::int64_t decode_tokens) const;

  // The counter; 0 for an unknown tenant.
  double Served(const std::string& tenant) const;
  // Index of the waiting tenant to serve; the first of equals. `waiting` is in order of arrival and not empty.
  std::size_t Pick(std::span<const std::string> waiting) const;
  std::size_t active_tenants() const { return active_; }

 private:
  struct Account {
    double served = 0;
    double weight = 1;
    int working = 0;  // workers with work
  };

  void ForgetLongGone();

  const TokenCosts costs_;
  std::map<std::string, Account> accounts_;
  std::size_t active_ = 0;
};

}  // namespace allod::inference::gate
