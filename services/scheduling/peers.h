// The port to the services that are asked before an instance is accepted. Thread-safe; calls block up to a few seconds.
#pragma once

#include <string>

#include "services/scheduling/admission.h"

namespace allod::scheduling {

class Peers {
 public:
  virtual ~Peers() = default;
  // Tenant and project: fills in the first part of the facts. NOT_FOUND when either does not exist; UNAVAILABLE.
  virtual Result<AdmissionFacts> AskTenant(const std::string& project_name) = 0;
  // Listing, variant, billing account and prices: fills in the rest. UNAVAILABLE.
  virtual Status AskOffer(const InstanceSpec& spec, AdmissionFacts& facts) = 0;
};

}  // namespace allod::scheduling
