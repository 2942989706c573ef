#include "tests/bench/pool/llama_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "tests/bench/pool/installation.h"
#include "tests/integration/gateway_http_client.h"

namespace allod::bench {

namespace {

int FreePort() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(socket);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

std::vector<std::string> Arguments(const std::filesystem::path& model, const LlamaServerShape& shape, int port) {
  const int context = shape.context_tokens * shape.parallel;
  return {LlamaServerProgram(),
          "--model",
          model,
          "--host",
          "127.0.0.1",
          "--port",
          std::to_string(port),
          "--threads",
          std::to_string(shape.threads),
          "--parallel",
          std::to_string(shape.parallel),
          "--ctx-size",
          std::to_string(context),
          "--cache-ram",
          "0"};  // keeps no finished prompts: no request here comes twice
}

}  // namespace

std::filesystem::path LlamaServerProgram() {
  const std::filesystem::path out = BuildDirectory() / "bench/llama-server";
  if (!std::filesystem::exists(out))
    throw std::runtime_error("llama-server is missing: run tests/bench/pool/build_peer");
  return out;
}

LlamaServer::LlamaServer(const std::filesystem::path& model, const LlamaServerShape& shape)
    : port_(FreePort()),
      process_(Arguments(model, shape, port_), {.output = directory_ / "log"}),
      guard_(process_.pid(), directory_.path()) {}

bool LlamaServer::Ready() {
  try {
    return gateway::Fetch(port_, "GET", "/health", "").status == 200;
  } catch (const std::runtime_error&) {
    return false;  // does not listen yet
  }
}

void LlamaServer::AwaitReady(std::chrono::seconds timeout) {
  const auto deadline = SteadyClock::now() + timeout;
  while (!Ready()) {
    if (!process_.Running() || SteadyClock::now() > deadline) {
      throw std::runtime_error("llama-server does not start:\n" + process_.Output());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

StreamRequest LlamaServer::Completion(const std::string& prompt, int tokens) const {
  return {port_, "", "/v1/completions", CompletionBody("", prompt, tokens)};
}

StreamRequest LlamaServer::Chat(const std::string& content, int tokens) const {
  return {port_, "", "/v1/chat/completions", ChatBody("", content, tokens)};
}

}  // namespace allod::bench
