// `allod chat`: asks an instance a question through the gateway, as any OpenAI client would, and shows the answer as it
// comes.

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/installation/files.h"
#include "cli/net/http_client.h"
#include "cli/net/sse.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

using nlohmann::json;

struct ChatOptions {
  std::string instance;
  std::string prompt;
  std::string key_file;
  std::string system;
  std::string save;
  int max_tokens = 0;
  double temperature = -1;
};

struct Answer {
  std::string text;
  std::string finish_reason;
  std::string error;
  json usage;
  bool done = false;
  double seconds_to_first_token = 0;
};

// Takes one event of the stream into the answer and shows new text.
void Take(const std::string& event, std::chrono::steady_clock::time_point start, bool show, Answer& answer) {
  if (event == "[DONE]") {
    answer.done = true;
    return;
  }
  const json chunk = json::parse(event, nullptr, false);
  if (!chunk.is_object()) return;
  if (chunk.contains("error")) answer.error = chunk["error"].value("message", "the stream failed");
  if (chunk.contains("usage") && chunk["usage"].is_object()) answer.usage = chunk["usage"];
  if (!chunk.contains("choices") || chunk["choices"].empty()) return;
  const json& choice = chunk["choices"][0];
  if (choice.contains("finish_reason") && choice["finish_reason"].is_string())
    answer.finish_reason = choice["finish_reason"];
  const std::string text =
      choice.contains("delta") && choice["delta"].contains("content") && choice["delta"]["content"].is_string()
          ? choice["delta"]["content"].get<std::string>()
          : "";
  if (text.empty()) return;
  if (answer.text.empty()) {
    answer.seconds_to_first_token = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  answer.text += text;
  if (show) terminal::Print(text);
}

Result<Answer> Converse(const installation::StateDir& state, const ChatOptions& options, bool show) {
  ALLOD_TRY(const auto ids, MatchName("instance", options.instance, "tenants/*/projects/*/instances/*"));
  const auto key = installation::ReadSecret(options.key_file.empty() ? state.key(ids[0], ids[1])
                                                                     : std::filesystem::path(options.key_file));
  if (!key) {
    return Fail(key.error().code, key.error().reason,
                fmt::format("{}; make a key with `allod create-key tenants/{}/projects/{}`, or name another file "
                            "with --key-file",
                            key.error().message, ids[0], ids[1]));
  }
  ALLOD_TRY(const std::string base, state.HttpBase());

  json messages = json::array();
  if (!options.system.empty()) messages.push_back({{"role", "system"}, {"content", options.system}});
  messages.push_back({{"role", "user"}, {"content", options.prompt}});
  json body = {
      {"model", ids[2]}, {"messages", messages}, {"stream", true}, {"stream_options", {{"include_usage", true}}}};
  if (options.max_tokens > 0) body["max_completion_tokens"] = options.max_tokens;
  if (options.temperature >= 0) body["temperature"] = options.temperature;

  Answer answer;
  net::SseReader reader;
  const auto start = std::chrono::steady_clock::now();
  const auto fetched = net::Fetch({.method = "POST",
                                   .url = base + "/v1/chat/completions",
                                   .bearer = *key,
                                   .json = body.dump(-1, ' ', false, json::error_handler_t::replace),
                                   .on_data = [&](std::string_view bytes) {
                                     for (const auto& event : reader.Feed(bytes)) Take(event, start, show, answer);
                                     return true;
                                   }});
  if (!answer.error.empty()) return Fail(Code::kUnavailable, "STREAM_FAILED", answer.error);
  if (!fetched) return std::unexpected(fetched.error());
  if (fetched->status != 200) {
    const json error = json::parse(fetched->body, nullptr, false);
    const bool known = error.is_object() && error.contains("error") && error["error"].is_object();
    return Fail(
        fetched->status == 404   ? Code::kNotFound
        : fetched->status == 503 ? Code::kUnavailable
                                 : Code::kInvalidArgument,
        known && error["error"]["code"].is_string() ? error["error"]["code"].get<std::string>() : "HTTP_ERROR",
        fmt::format("HTTP {}: {}", fetched->status, known ? error["error"].value("message", "") : fetched->body));
  }
  if (!answer.done) return Fail(Code::kUnavailable, "STREAM_FAILED", "the stream ended before the answer was complete");
  return answer;
}

Status Chat(const Globals& globals, ChatOptions options) {
  ALLOD_TRY(const auto state, FindInstallation(globals));
  if (options.prompt == "-") {
    constexpr std::size_t kPromptBytesMax = 1 << 20;
    options.prompt.clear();
    for (char c; options.prompt.size() < kPromptBytesMax && std::cin.get(c);) options.prompt.push_back(c);
  }
  ALLOD_TRY(const Answer answer, Converse(state, options, !globals.json()));
  const json result = {{"answer", answer.text},
                       {"finish_reason", answer.finish_reason},
                       {"prompt_tokens", answer.usage.value("prompt_tokens", 0)},
                       {"completion_tokens", answer.usage.value("completion_tokens", 0)},
                       {"seconds_to_first_token", answer.seconds_to_first_token}};
  if (!options.save.empty()) ALLOD_CHECK_OK(installation::WriteFile(options.save, result.dump(2) + "\n"));
  terminal::Print(globals.json() ? result.dump(2) + "\n" : "\n");
  return {};
}

}  // namespace

void AddChat(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<ChatOptions>(
      app, globals, "chat", "Ask an instance a question through the OpenAI-compatible endpoint", &Chat);
  command->add_option("instance", options->instance, "tenants/TENANT/projects/PROJECT/instances/INSTANCE")->required();
  command->add_option("prompt", options->prompt, "The question, or - for standard input")->required();
  command->add_option("--key-file", options->key_file,
                      "API key (default: keys/TENANT-PROJECT.key in the state directory)");
  command->add_option("--system", options->system, "System message");
  command
      ->add_option("--max-tokens", options->max_tokens, "Limit of the answer (default: what the context has room for)")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--temperature", options->temperature, "0 is the most likely answer (default: 1)")
      ->check(CLI::Range(0.0, 2.0));
  command->add_option("--save", options->save, "Also write the answer and its token counts to this file, as JSON");
}

}  // namespace allod::cli::commands
