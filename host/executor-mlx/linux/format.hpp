// std::format for compilers older than GCC 13, as far as mlx-c uses it: plain "{}" only.
#pragma once
#if __has_include(<format>)
#include <format>
#else
#include <sstream>
#include <string>
#include <string_view>
namespace std {
template <class... Args>
string format(string_view text, const Args&... args) {
  ostringstream out;
  auto next = [&](const auto& arg) {
    auto at = text.find("{}");
    out << text.substr(0, at);
    if (at != string_view::npos) {
      out << arg;
      text.remove_prefix(at + 2);
    } else {
      text = {};
    }
  };
  (next(args), ...);
  out << text;
  return out.str();
}
} // namespace std
#endif
