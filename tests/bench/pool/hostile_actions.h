// What somebody tries who took over a worker's process: each action is one attempt to reach something that is not the
// worker's, or to take more than its share, with the system calls that are left to it.
//
// Run inside the sandbox. An action undoes nothing and may be tried once.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace allod::bench {

// What it knows of the world outside, as if it had been told everything.
struct Surroundings {
  std::vector<pid_t> others;  // as the host counts: the agent, the zygote, a sibling, init
  std::string model;          // paths
  std::string sibling_socket;
  std::string sibling_ring;
  std::string abstract_name;  // of a socket that the agent listens on
  int tcp_port = 0;           // on 127.0.0.1, where the agent listens
  // Its own descriptors.
  int listen_fd = -1;
  int page_fd = -1;
  int gate_fd = -1;
  int ring_fd = -1;
};

struct HostileAction {
  std::string name;
  std::function<bool(const Surroundings&)> attempt;  // whether it succeeded
};

std::vector<HostileAction> NetworkActions();
std::vector<HostileAction> FileActions();
std::vector<HostileAction> ProcessActions();
std::vector<HostileAction> KernelActions();

}  // namespace allod::bench
