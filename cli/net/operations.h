// Waiting for what takes a service time.
#pragma once

#include <google/longrunning/operations.pb.h>

#include <string>

#include "cli/net/services.h"
#include "services/common/result.h"

namespace allod::cli::net {

// What a change started, if it takes time.
struct Change {
  std::string process;  // whose operation it is
  google::longrunning::Operation operation;
};

// Waits for a started change and shows its progress; returns at once when there is nothing to wait for. The error of a
// failed operation is returned.
Status WaitForChange(const Services& services, const Change& change, const std::string& what);

}  // namespace allod::cli::net
