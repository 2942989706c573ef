// Any method of any service, by its descriptor alone: how a request for it is made, filled and sent. For tests that are
// about all methods.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/common/rpc/caller.h"

namespace allod {

using MessagePtr = std::unique_ptr<google::protobuf::Message>;

struct AnyAnswer {
  grpc::Status status;
  std::vector<std::string> messages;  // as JSON; of a stream the first ones
};

MessagePtr NewMessage(const google::protobuf::Descriptor& type);
std::string ToJson(const google::protobuf::Message& message);
// Throws std::runtime_error for what the message does not take.
void FillFromJson(const std::string& json, google::protobuf::Message& message);

// Sends one message, whatever the method streams. A stream is read to its end, or left after some messages.
AnyAnswer CallAny(grpc::GenericStub& stub, const google::protobuf::MethodDescriptor& method,
                  const google::protobuf::Message& request, const Caller& caller,
                  std::chrono::milliseconds timeout = std::chrono::seconds(10));

// The text field at the end of `path`.
void SetText(google::protobuf::Message& message, const std::vector<const google::protobuf::FieldDescriptor*>& path,
             const std::string& text);

// Each text in the message, in the messages that it has, and of what is repeated the first: its name
// ("workload_rule.claims.claim") and how to set it in another message that was made alike.
struct TextField {
  std::string name;
  std::function<void(google::protobuf::Message&, const std::string&)> set;
};
std::vector<TextField> TextFieldsOf(const google::protobuf::Message& message);

}  // namespace allod
