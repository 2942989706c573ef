// The port to the services that are asked before an instance is accepted. Thread-safe; calls block up to a few seconds.
#pragma once

#include <string>

#include "services/scheduling/admission.h"

namespace allod::scheduling {

class Peers {
 public:
  virtual ~Peers() = default;
  // Asks everyone at once. NOT_FOUND when the tenant or the project does not exist; UNAVAILABLE when tenancy is. What
  // could not be learnt of the offer is said in `offer`.
  // The prices are those of `price_book`, which then stands for the listing's; empty: of the listing's.
  virtual Result<AdmissionFacts> Ask(const std::string& project_name, const InstanceSpec& spec,
                                     const std::string& price_book) = 0;
  // What a tenant may have, and a project if it is that which is named. With the same errors.
  virtual Result<QuotaScopes> AskQuotas(const std::string& name) = 0;
};

}  // namespace allod::scheduling
