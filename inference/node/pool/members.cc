#include "inference/node/pool/members.h"

#include <fmt/format.h>

#include <tuple>

namespace allod::inference::node::pool {

Membership MembershipOf(const std::map<std::string, DesiredWorker>& replicas) {
  std::map<std::string, const DesiredWorker*> by_instance;
  for (const auto& [uid, replica] : replicas) {
    const DesiredWorker*& newest = by_instance[replica.member.instance];
    const bool newer = newest == nullptr || std::tie(newest->epoch, newest->replica_uid) < std::tie(replica.epoch, uid);
    if (newer) newest = &replica;
  }
  Membership out;
  for (const auto& [uid, replica] : replicas) {
    const DesiredWorker& newest = *by_instance[replica.member.instance];
    if (newest.replica_uid != uid) {
      out.left_out[uid] = fmt::format("the pool of this model on this node holds {} once, as replica {}",
                                      replica.member.instance, newest.replica_uid);
    } else if (out.held.size() >= kPoolMembersMax) {
      out.left_out[uid] = fmt::format(
          "the pool of this model on this node has {} members, the most that one takes; {} "
          "is one more",
          kPoolMembersMax, replica.member.instance);
    } else {
      out.held.push_back(replica);
    }
  }
  return out;
}

}  // namespace allod::inference::node::pool
