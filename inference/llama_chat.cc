#include "inference/llama_chat.h"

#include <chat.h>
#include <fmt/format.h>
#include <llama.h>
#include <log.h>

#include <algorithm>
#include <exception>
#include <string>

namespace allod::inference {
namespace {

// llama.cpp puts the source of the template around what went wrong; callers need the latter only.
std::string WhatWentWrong(std::string_view text) {
  constexpr std::size_t kBytesMax = 200;
  for (const std::string_view mark : {"Jinja Exception: ", "Error: "}) {
    if (const std::size_t at = text.rfind(mark); at != std::string_view::npos) text.remove_prefix(at + mark.size());
  }
  text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
  return std::string(text.substr(0, std::min(text.find('\n'), kBytesMax)));
}

std::unexpected<Error> TemplateFailed(std::string_view what) {
  return InvalidArgument("TEMPLATE_FAILED", fmt::format("the model's chat template cannot render these messages: {}",
                                                        WhatWentWrong(what)));
}

Status CheckMessages(std::span<const ChatMessage> messages) {
  if (messages.empty()) return InvalidArgument("INVALID_MESSAGE", "chat.messages is empty; send at least one message");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role == "system" || role == "user" || role == "assistant") continue;
    return InvalidArgument("INVALID_MESSAGE",
                           fmt::format("chat.messages[{}].role must be system, user or assistant", i));
  }
  return {};
}

}  // namespace

struct ChatTemplate::Impl {
  common_chat_templates_ptr templates;
  std::string failure;  // why there are none
};

ChatTemplate::ChatTemplate(const llama_model& model) {
  // llama.cpp's tools log to standard error from a thread of their own, which starts with the first line; none is let
  // through.
  common_log_set_verbosity_thold(-1);
  auto impl = std::make_unique<Impl>();
  try {
    impl->templates = common_chat_templates_init(&model, "");
  } catch (const std::exception& e) {
    impl->failure = e.what();
  }
  impl_ = std::move(impl);
}

ChatTemplate::~ChatTemplate() = default;

Result<std::vector<PromptPart>> ChatTemplate::Render(std::span<const ChatMessage> messages,
                                                     const ControlText& control_text) const {
  ALLOD_CHECK_OK(CheckMessages(messages));
  if (!impl_->templates) return TemplateFailed(impl_->failure);
  common_chat_templates_inputs inputs;
  inputs.use_jinja = true;
  // Only the prompt is wanted: without this llama.cpp derives a parser for the answer by rendering the template many
  // times.
  inputs.force_pure_content = true;
  for (const ChatMessage& message : messages) {
    common_chat_msg converted;
    converted.role = message.role;
    converted.content = control_text.Guard(message.content);
    inputs.messages.push_back(std::move(converted));
  }
  try {
    return ControlText::Split(common_chat_templates_apply(impl_->templates.get(), inputs).prompt);
  } catch (const std::exception& e) {
    return TemplateFailed(e.what());
  }
}

}  // namespace allod::inference
