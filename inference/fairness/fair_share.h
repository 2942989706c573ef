// Who is served next: a counter of time for each tenant, and the least served that waits goes first.
//
// After Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024), with time in the place of tokens: what a
// request costs the others is the time that it takes from them, whether it decodes, reads a prompt or follows a
// grammar, and time can be measured where tokens would have to be believed. A tenant's counter grows by the time that
// it was served, divided by its weight. One that was away comes back with a counter lifted to the least of those that
// are active, so that nobody saves up service; one that left with more than that keeps it, so that coming and going
// wipes nothing out. While somebody waits its counter stands still and the others' grow, so nobody is starved. When
// nobody is active what was is forgotten: it kept nobody waiting.
//
// Pure and deterministic; not thread-safe. Seconds throughout.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

namespace allod::inference::fairness {

class FairShare {
 public:
  // A tenant has work (again); called for each of its workers or requests that does. `weight` is at least 1. True when
  // it had none before.
  bool Enter(const std::string& tenant, double weight);
  // One of them has no more. Unknown tenants are ignored.
  void Leave(const std::string& tenant);
  // For what is charged from now on. Unknown tenants are ignored.
  void SetWeight(const std::string& tenant, double weight);
  // Of a tenant that has work or had. Unknown tenants are ignored, negative times are nothing.
  void Charge(const std::string& tenant, double seconds);
  // The same of one that may never have had work yet: what was refused costs too. Counts when it comes.
  void ChargeAhead(const std::string& tenant, double weight, double seconds);

  // Lifts its counter to `served`: what it could not use it does not save up. Unknown tenants are ignored.
  void Rise(const std::string& tenant, double served);
  // The counter; of a tenant that is not known what it would be if it came now.
  double Served(const std::string& tenant) const;
  // Index of the waiting tenant to serve; the first of equals. `waiting` is in order of arrival and not empty.
  std::size_t Pick(std::span<const std::string> waiting) const;
  std::size_t active_tenants() const { return active_; }

 private:
  struct Account {
    double served = 0;
    double weight = 1;
    int working = 0;
  };

  // Of those that are active; 0 when nobody is.
  double Least() const;
  Account& AccountOf(const std::string& tenant, double weight);
  void ForgetIdle();

  std::map<std::string, Account> accounts_;
  std::size_t active_ = 0;
};

}  // namespace allod::inference::fairness
