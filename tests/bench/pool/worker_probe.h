// Asks an instance's worker directly, past the gateway: what only the worker knows, such as how long a prefill took.
#pragma once

#include <memory>
#include <string>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "tests/bench/pool/installation.h"

namespace allod::bench {

class WorkerProbe {
 public:
  // `instance` is a full name. Throws std::runtime_error when no worker of the node answers for it.
  WorkerProbe(const Installation& installation, const TenantAccess& tenant, const std::string& instance);

  // Of a completion of one token.
  inference::v1::GenerateResponse::Finished AskOneToken(const std::string& prompt);
  inference::v1::WorkerStatus Status();

 private:
  std::unique_ptr<inference::v1::WorkerService::Stub> worker_;
  std::string tenant_uid_;
  std::string instance_;
};

}  // namespace allod::bench
