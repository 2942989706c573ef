// Which of the replicas that share a worker it is told of. A worker knows its members by their instance, and a list of
// them has an end: what does not fit is left out by name, and never takes the rest of the list with it. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "inference/node/pool/desired.h"

namespace allod::inference::node::pool {

// What one worker is told of; the scheduling service places no more on a node. The longest such list fits into a
// message (zygote/channel.h).
inline constexpr std::size_t kPoolMembersMax = 256;

struct Membership {
  std::vector<DesiredWorker> held;              // by replica uid
  std::map<std::string, std::string> left_out;  // replica uid -> why, for people
};

// Of several replicas of one instance the newest epoch has the place: it is the one that replaces the others. Beyond
// kPoolMembersMax the oldest replicas keep their places.
Membership MembershipOf(const std::map<std::string, DesiredWorker>& replicas);

}  // namespace allod::inference::node::pool
