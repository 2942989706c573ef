#include "inference/zygote/worker_messages.h"

#include <tuple>
#include <utility>

namespace allod::inference::zygote {

using nlohmann::json;
namespace {

constexpr std::size_t kRefusedMax = 256;
constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kWhyBytesMax = 128;

// What travels, by its names: a new field needs a line here and nothing else.
constexpr std::tuple kSpecFields{std::pair{"id", &WorkerSpec::id}, std::pair{"is_spare", &WorkerSpec::is_spare}};
constexpr std::tuple kShapeFields{
    std::pair{"artifact_sha256", &WorkerShape::artifact_sha256},
    std::pair{"context_tokens", &WorkerShape::context_tokens},
    std::pair{"max_sequences", &WorkerShape::max_sequences},
    std::pair{"kv_tokens", &WorkerShape::kv_tokens},
    std::pair{"threads", &WorkerShape::threads},
    std::pair{"chunk_tokens_max", &WorkerShape::chunk_tokens_max},
    std::pair{"strict", &WorkerShape::strict},
};
constexpr std::tuple kMemberFields{
    std::pair{"instance", &ports::Member::instance},
    std::pair{"tenant_uid", &ports::Member::tenant_uid},
    std::pair{"context_tokens", &ports::Member::context_tokens},
    std::pair{"max_concurrency", &ports::Member::max_concurrency},
    std::pair{"weight", &ports::Member::weight},
};

template <typename Fields, typename Value>
void Write(const Fields& fields, const Value& value, json& out) {
  std::apply([&](const auto&... field) { ((out[field.first] = value.*field.second), ...); }, fields);
}

// Throws json::exception.
template <typename Fields, typename Value>
void Read(const Fields& fields, const json& in, Value& out) {
  std::apply([&](const auto&... field) { (in.at(field.first).get_to(out.*field.second), ...); }, fields);
}

}  // namespace

json ToJson(const WorkerSpec& spec) {
  json out = json::object();
  Write(kSpecFields, spec, out);
  Write(kShapeFields, spec.shape, out);
  return out;
}

Result<WorkerSpec> WorkerSpecFrom(const json& in) {
  WorkerSpec out;
  try {
    Read(kSpecFields, in, out);
    Read(kShapeFields, in, out.shape);
  } catch (const json::exception& e) {
    return InvalidArgument("BAD_MESSAGE", std::string("worker: ") + e.what());
  }
  return out;
}

json ToJson(const std::vector<ports::Member>& members) {
  json out = json::array();
  for (const ports::Member& member : members) Write(kMemberFields, member, out.emplace_back(json::object()));
  return out;
}

Result<std::vector<ports::Member>> MembersFrom(const json& in) {
  std::vector<ports::Member> out;
  try {
    for (const json& member : in) Read(kMemberFields, member, out.emplace_back());
  } catch (const json::exception& e) {
    return InvalidArgument("BAD_MESSAGE", std::string("members: ") + e.what());
  }
  return out;
}

json ToJson(const std::vector<ports::RefusedMember>& refused) {
  json out = json::array();
  for (const ports::RefusedMember& r : refused) {
    if (out.size() >= kRefusedMax) break;  // the agent tells no more members than that
    out.push_back({{"instance", r.instance.substr(0, kNameBytesMax)}, {"why", r.why.substr(0, kWhyBytesMax)}});
  }
  return out;
}

std::vector<ports::RefusedMember> RefusedFrom(const json& body) {
  std::vector<ports::RefusedMember> out;
  const auto refused = body.find("refused");
  if (refused == body.end() || !refused->is_array()) return out;
  for (const json& one : *refused) {
    if (out.size() >= kRefusedMax) break;
    if (!one.is_object()) continue;
    const auto instance = one.find("instance");
    const auto why = one.find("why");
    if (instance == one.end() || !instance->is_string() || why == one.end() || !why->is_string()) continue;
    out.push_back(
        {instance->get<std::string>().substr(0, kNameBytesMax), why->get<std::string>().substr(0, kWhyBytesMax)});
  }
  return out;
}

json AssignMessage(const std::vector<ports::Member>& members) {
  return {{"type", "assign"}, {"members", ToJson(members)}};
}

Result<Assigned> AwaitAssignment(Channel& control) {
  ALLOD_TRY(auto received, control.Receive());
  Message& message = *received;
  if (message.type() == "stop") return Fail(Code::kUnavailable, "CHANNEL_CLOSED", "nobody wants this worker");
  if (message.type() != "assign" || message.fds.size() != kAssignmentFds) {
    return InvalidArgument("BAD_MESSAGE", "the agent said something else before it assigned the worker");
  }
  Assigned out;
  ALLOD_TRY(out.members, MembersFrom(message.body.value("members", json::array())));
  out.fds = std::move(message.fds);
  return out;
}

}  // namespace allod::inference::zygote
