#include "tests/integration/any_method.h"

#include <google/protobuf/util/json_util.h>

#include <stdexcept>

#include "services/common/rpc/client.h"

namespace allod {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;

constexpr int kMessagesMax = 16;

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) throw std::runtime_error("an answer cannot be read");
  std::string out;
  for (const auto& slice : slices) out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return out;
}

using Path = std::vector<const FieldDescriptor*>;

Message& Walk(Message& message, const Path& path) {
  Message* at = &message;
  for (const FieldDescriptor* field : path) {
    const auto& reflection = *at->GetReflection();
    if (!field->is_repeated()) {
      at = reflection.MutableMessage(at, field);
    } else if (reflection.FieldSize(*at, field) > 0) {
      at = reflection.MutableRepeatedMessage(at, field, 0);
    } else {
      at = reflection.AddMessage(at, field);
    }
  }
  return *at;
}

void Collect(const Message& message, const Path& path, const std::string& prefix, std::vector<TextField>& out) {
  const Descriptor& type = *message.GetDescriptor();
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    const std::string name = prefix + field->name();
    if (field->is_map()) continue;
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      out.push_back({name, [path, field](Message& to, const std::string& text) {
                       Message& at = Walk(to, path);
                       if (!field->is_repeated()) return at.GetReflection()->SetString(&at, field, text);
                       at.GetReflection()->ClearField(&at, field);
                       at.GetReflection()->AddString(&at, field, text);
                     }});
      continue;
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    Path further = path;
    further.push_back(field);
    if (!field->is_repeated()) {
      if (reflection.HasField(message, field)) Collect(reflection.GetMessage(message, field), further, name + ".", out);
    } else if (reflection.FieldSize(message, field) > 0) {
      Collect(reflection.GetRepeatedMessage(message, field, 0), further, name + ".", out);
    }
  }
}

// One operation of the call on its queue.
class Steps {
 public:
  explicit Steps(grpc::CompletionQueue& queue) : queue_(queue) {}
  template <typename Start>
  bool Do(Start start) {
    start(this);
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

 private:
  grpc::CompletionQueue& queue_;
};

}  // namespace

MessagePtr NewMessage(const Descriptor& type) {
  return MessagePtr(MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

std::string ToJson(const Message& message) {
  std::string out;
  const auto status = google::protobuf::util::MessageToJsonString(message, &out);
  if (!status.ok()) throw std::runtime_error(message.GetTypeName() + ": " + status.ToString());
  return out;
}

void FillFromJson(const std::string& json, Message& message) {
  const auto status = google::protobuf::util::JsonStringToMessage(json, &message);
  if (!status.ok())
    throw std::runtime_error(message.GetTypeName() + " does not take " + json + ": " + status.ToString());
}

AnyAnswer CallAny(grpc::GenericStub& stub, const MethodDescriptor& method, const Message& request, const Caller& caller,
                  std::chrono::milliseconds timeout) {
  const std::string path = "/" + method.service()->full_name() + "/" + method.name();
  const auto context = MakeContext(caller, timeout);
  grpc::CompletionQueue queue;
  Steps steps(queue);
  AnyAnswer out;
  const auto call = stub.PrepareCall(context.get(), path, &queue);
  if (steps.Do([&](void* tag) { call->StartCall(tag); })) {
    const grpc::Slice slice(request.SerializeAsString());
    const grpc::ByteBuffer sent(&slice, 1);
    steps.Do([&](void* tag) { call->WriteLast(sent, grpc::WriteOptions(), tag); });
    grpc::ByteBuffer received;
    while (steps.Do([&](void* tag) { call->Read(&received, tag); })) {
      const MessagePtr message = NewMessage(*method.output_type());
      if (!message->ParseFromString(BytesOf(received))) throw std::runtime_error(path + " answers with something else");
      out.messages.push_back(ToJson(*message));
      if (out.messages.size() == kMessagesMax) context->TryCancel();
    }
  }
  steps.Do([&](void* tag) { call->Finish(&out.status, tag); });
  queue.Shutdown();
  void* tag = nullptr;
  for (bool ok = false; queue.Next(&tag, &ok);) {
  }
  return out;
}

void SetText(Message& message, const Path& path, const std::string& text) {
  Message& at = Walk(message, Path(path.begin(), path.end() - 1));
  at.GetReflection()->SetString(&at, path.back(), text);
}

std::vector<TextField> TextFieldsOf(const Message& message) {
  std::vector<TextField> out;
  Collect(message, {}, "", out);
  return out;
}

}  // namespace allod
