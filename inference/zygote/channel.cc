#include "inference/zygote/channel.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace allod::inference::zygote {
namespace {

// The longest list of members (node/pool/members.h) takes some 95 KB; the kernel's default allows 208 KiB.
constexpr std::size_t kBytesMax = 128 << 10;
constexpr std::size_t kFdsMax = 8;

std::unexpected<Error> Closed() { return Fail(Code::kUnavailable, "CHANNEL_CLOSED", "the other process is gone"); }
std::unexpected<Error> Bad(const char* why) { return InvalidArgument("BAD_MESSAGE", why); }

}  // namespace

std::string Message::type() const {
  const auto found = body.find("type");
  return found != body.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<std::pair<Channel, Channel>> Channel::MakePair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return Fail(Code::kUnavailable, "NO_CHANNEL", fmt::format("socketpair: {}", std::strerror(errno)));
  }
  return std::pair(Channel(OwnedFd(fds[0])), Channel(OwnedFd(fds[1])));
}

Status Channel::Send(const nlohmann::json& body, const std::vector<int>& fds) {
  const std::string text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > kBytesMax || fds.size() > kFdsMax) return Bad("the message is too large to be sent");
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kFdsMax)] = {};
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
  }
  while (sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return Fail(Code::kResourceExhausted, "CHANNEL_FULL", "the other process does not read");
    return Closed();
  }
  return {};
}

Result<std::optional<Message>> Channel::Receive(bool wait) {
  // First how long it is, so that no more is set aside for it: there are many processes, and mostly no message.
  ssize_t bytes = 0;
  const int how = MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT);
  while ((bytes = recv(socket_.get(), nullptr, 0, how | MSG_PEEK | MSG_TRUNC)) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN && !wait) return std::nullopt;
    return Closed();
  }
  if (static_cast<std::size_t>(bytes) > kBytesMax) return Bad("a message is longer than any that is sent");
  std::string text(static_cast<std::size_t>(bytes), '\0');
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kFdsMax)];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  while ((bytes = recvmsg(socket_.get(), &header, how)) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN && !wait) return std::nullopt;
    return Closed();
  }
  Message message;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      message.fds.emplace_back(fd);
    }
  }
  if (bytes == 0) return Closed();
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Bad("a message is longer than any that is sent");
  text.resize(static_cast<std::size_t>(bytes));
  message.body = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!message.body.is_object()) return Bad("a message is no JSON object");
  return std::optional(std::move(message));
}

}  // namespace allod::inference::zygote
