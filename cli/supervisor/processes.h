// The platform's own processes, by their short names ("tenancy" -> allod-tenancy).
#pragma once

#include <string>
#include <vector>

namespace allod::cli::supervisor {

// Those that `allod up` starts beside PostgreSQL and Redis, in this order.
const std::vector<std::string>& PlatformProcesses();

// Those that have a schema, in the order in which their migrations run.
const std::vector<std::string>& DatabaseServices();

// Those that have a gRPC socket of their own below run/.
const std::vector<std::string>& GrpcServers();

}  // namespace allod::cli::supervisor
