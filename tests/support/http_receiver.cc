#include "tests/support/http_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>
#include <utility>

namespace allod {
namespace {

constexpr std::size_t kBytesMax = 8 << 20;
constexpr int kBacklog = 64;

// Until `enough` says so or the peer ends.
void Receive(int fd, std::string& into, const std::function<bool()>& enough) {
  std::array<char, 65536> buffer;
  while (!enough() && into.size() < kBytesMax) {
    const auto count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count <= 0) return;
    into.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

HttpReceiver::HttpReceiver(Answer answer)
    : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_.get(), kBacklog) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen on loopback");
  }
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { Accept(); });
}

HttpReceiver::~HttpReceiver() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  accepting_.join();
  {
    const std::scoped_lock lock(mutex_);
    for (const OwnedFd& client : clients_) ::shutdown(client.get(), SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

std::string HttpReceiver::url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/hook"; }

std::string HttpReceiver::Response(const std::string& status, const std::string& more_headers) {
  return "HTTP/1.1 " + status + "\r\nconnection: close\r\ncontent-length: 0\r\n" + more_headers + "\r\n";
}

void HttpReceiver::Accept() {
  while (!stopping_) {
    OwnedFd client(::accept(listener_.get(), nullptr, nullptr));
    if (!client) continue;
    const std::scoped_lock lock(mutex_);
    const OwnedFd& kept = clients_.emplace_back(std::move(client));
    threads_.emplace_back([this, &kept] { Serve(kept); });
  }
}

void HttpReceiver::Serve(const OwnedFd& client) {
  ReceivedRequest request;
  std::string bytes;
  Receive(client.get(), bytes, [&] { return bytes.find("\r\n\r\n") != std::string::npos; });
  const std::size_t head_end = bytes.find("\r\n\r\n");
  if (head_end == std::string::npos) return;
  std::size_t at = bytes.find("\r\n");
  const std::string line = bytes.substr(0, at);
  const std::size_t path = line.find(' ') + 1;
  request.path = line.substr(path, line.find(' ', path) - path);
  while (at < head_end) {
    at += 2;
    const std::size_t end = bytes.find("\r\n", at);
    const std::string header = bytes.substr(at, end - at);
    const std::size_t colon = header.find(':');
    std::string name = header.substr(0, colon);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    if (colon != std::string::npos) request.headers[name] = header.substr(std::min(colon + 2, header.size()));
    at = end;
  }
  request.body = bytes.substr(head_end + 4);
  const auto length = request.headers.find("content-length");
  const std::size_t size = length == request.headers.end() ? 0 : std::stoul(length->second);
  Receive(client.get(), request.body, [&] { return request.body.size() >= size; });
  if (request.body.size() < size) return;
  const std::string answer = answer_(request);
  if (answer.empty()) {
    // In silence, until the other side or the receiver ends.
    std::string rest;
    Receive(client.get(), rest, [&] { return stopping_.load(); });
    return;
  }
  (void)!::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  ::shutdown(client.get(), SHUT_WR);
}

}  // namespace allod
