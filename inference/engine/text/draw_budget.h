// How much of a step may go into drawing under constraints while others wait for the next step: a quarter of what the
// step took, shared between the tenants that have such draws. What a tenant overdraws, because a piece of work took
// longer than it had, it waits for; what it does not use it does not keep. So however costly a grammar is, the steps of
// those that need none come at four fifths of their rate at least. Pure; seconds.
#pragma once

#include <map>
#include <set>
#include <string>

namespace allod::inference::engine::text {

class DrawBudget {
 public:
  // A step was made: `tenants` have draws that are not done.
  void Earn(double step_seconds, const std::set<std::string>& tenants);
  // What the tenant may use now; nothing when it is 0 or less.
  double Of(const std::string& tenant) const;
  void Spend(const std::string& tenant, double seconds);

 private:
  std::map<std::string, double> left_;  // negative ones are kept until they are earned back
};

}  // namespace allod::inference::engine::text
