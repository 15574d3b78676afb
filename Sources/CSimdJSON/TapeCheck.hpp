// What simdjson lets pass and the bridge does not: a key twice in one object, and one container more than the limit.
// One walk over the tape, without allocation once the buffers have grown to the largest document.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "CSimdJSON.h"

class TapeCheck {
public:
    TapeCheck(size_t max_depth, bool keys_twice) noexcept
        : max_depth_(max_depth), keys_twice_(keys_twice), frames_(static_cast<Frame *>(std::calloc(max_depth + 1, sizeof(Frame)))) {}
    ~TapeCheck() {
        std::free(frames_);
        std::free(keys_);
    }
    TapeCheck(const TapeCheck &) = delete;
    TapeCheck &operator=(const TapeCheck &) = delete;

    bool usable() const noexcept { return frames_ != nullptr; }

    // Returns 0 or one of the CSIMDJSON_… codes; `place` is then the tape index of the second key.
    int32_t run(const uint64_t *tape, const uint8_t *strings, size_t &place) noexcept {
        tape_ = tape;
        strings_ = strings;
        Frame now{0, 0, false};
        size_t depth = 0;
        uint32_t top = 0;
        size_t i = 1;
        for (;;) {
            uint8_t tag = tag_at(i);
            if (now.is_object && tag != '}') {
                uint32_t print = print_of(i);
                uint64_t bit = uint64_t(1) << (print >> 26);
                if (top - now.base < few_keys) {
                    // The filter answers nearly every key; only where it cannot, the keys before are looked at.
                    if ((now.filter & bit) != 0 && seen(print, uint32_t(i), now.base, top)) {
                        place = i;
                        return CSIMDJSON_KEY_TWICE;
                    }
                    now.filter |= bit;
                }
                if (top == room_ && !grow()) return CSIMDJSON_NO_MEMORY;
                keys_[top++] = uint64_t(print) << 32 | uint32_t(i);
                tag = tag_at(++i);
            }
            switch (tag) {
                case '{':
                case '[':
                    if (depth == max_depth_) return CSIMDJSON_TOO_DEEP;
                    frames_[depth++] = now;
                    now = Frame{0, top, tag == '{' && !keys_twice_};
                    i += 1;
                    break;
                case '}':
                    if (now.is_object && top - now.base > few_keys && twice(now.base, top, place)) return CSIMDJSON_KEY_TWICE;
                    top = now.base;
                    now = frames_[--depth];
                    i += 1;
                    break;
                case ']':
                    now = frames_[--depth];
                    i += 1;
                    break;
                case 'l':
                case 'u':
                case 'd': i += 2; break;
                case 'r': return 0;
                default: i += 1;
            }
        }
    }

    // How many strings, keys included, come before a place on the tape.
    size_t strings_before(size_t place) const noexcept {
        size_t count = 0;
        for (size_t i = 1; i < place; i++) {
            uint8_t tag = tag_at(i);
            if (tag == '"') count += 1;
            if (tag == 'l' || tag == 'u' || tag == 'd') i += 1;
        }
        return count;
    }

private:
    struct Frame {
        uint64_t filter;  // one bit for each key seen, by the key's print
        uint32_t base;    // where this object's keys begin in `keys_`
        bool is_object;  // and its keys are looked at
    };

    // Up to here a key is compared with those before it; beyond, the keys are sorted when the object ends, so that no
    // document costs more than its length times the logarithm of its number of keys.
    static constexpr uint32_t few_keys = 64;

    size_t max_depth_;
    bool keys_twice_;
    Frame *frames_;
    uint64_t *keys_ = nullptr;  // of all open objects: print, tape index
    uint32_t room_ = 0;
    const uint64_t *tape_ = nullptr;
    const uint8_t *strings_ = nullptr;

    uint8_t tag_at(size_t i) const noexcept { return uint8_t(tape_[i] >> 56); }

    const uint8_t *text(size_t i, uint32_t &length) const noexcept {
        const uint8_t *start = strings_ + (tape_[i] & 0x00FFFFFFFFFFFFFF);
        std::memcpy(&length, start, 4);
        return start + 4;
    }

    // From the length and the first and last eight bytes. simdjson's buffer is padded, so eight bytes can always be read.
    uint32_t print_of(size_t i) const noexcept {
        uint32_t length;
        const uint8_t *bytes = text(i, length);
        uint64_t first, last;
        std::memcpy(&first, bytes, 8);
        if (length >= 8) {
            std::memcpy(&last, bytes + length - 8, 8);
        } else {
            first &= (uint64_t(1) << (8 * length)) - 1;
            last = length;
        }
        uint64_t mixed = (first ^ length) * 0x9E3779B97F4A7C15u;
        mixed = (mixed ^ (mixed >> 32) ^ last) * 0xD6E8FEB86659FD93u;
        return uint32_t(mixed >> 32);
    }

    bool same(uint32_t left, uint32_t right) const noexcept {
        uint32_t left_length, right_length;
        const uint8_t *left_text = text(left, left_length), *right_text = text(right, right_length);
        return left_length == right_length && std::memcmp(left_text, right_text, left_length) == 0;
    }

    bool seen(uint32_t print, uint32_t key, uint32_t from, uint32_t to) const noexcept {
        for (uint32_t k = from; k < to; k++)
            if (uint32_t(keys_[k] >> 32) == print && same(uint32_t(keys_[k]), key)) return true;
        return false;
    }

    bool twice(uint32_t from, uint32_t to, size_t &place) noexcept {
        std::sort(keys_ + from, keys_ + to);
        bool found = false;
        for (uint32_t k = from; k < to;) {
            uint32_t end = k + 1;
            while (end < to && keys_[end] >> 32 == keys_[k] >> 32) end++;
            if (end - k > 1) {
                std::sort(keys_ + k, keys_ + end, [this](uint64_t left, uint64_t right) { return before(left, right); });
                for (uint32_t n = k + 1; n < end; n++) {
                    uint32_t one = uint32_t(keys_[n - 1]), other = uint32_t(keys_[n]);
                    if (!same(one, other)) continue;
                    if (!found || other < place) place = other;
                    found = true;
                }
            }
            k = end;
        }
        return found;
    }

    // By length, then bytes, then place.
    bool before(uint64_t left, uint64_t right) const noexcept {
        uint32_t left_length, right_length;
        const uint8_t *left_text = text(uint32_t(left), left_length), *right_text = text(uint32_t(right), right_length);
        if (left_length != right_length) return left_length < right_length;
        int order = std::memcmp(left_text, right_text, left_length);
        return order != 0 ? order < 0 : left < right;
    }

    bool grow() noexcept {
        uint32_t room = room_ == 0 ? 256 : room_ * 2;
        if (room < room_) return false;
        auto *grown = static_cast<uint64_t *>(std::realloc(keys_, size_t(room) * sizeof(uint64_t)));
        if (grown == nullptr) return false;
        keys_ = grown;
        room_ = room;
        return true;
    }
};
