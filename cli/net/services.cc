#include "cli/net/services.h"

#include "services/common/rpc/client.h"

namespace allod::cli::net {

std::shared_ptr<grpc::Channel> Services::ChannelTo(const std::string& process) const {
  return gateway_ ? gateway_->channel() : MakeChannel(state_->target(process));
}

}  // namespace allod::cli::net
