//! Opening a container and reading its packets one by one.

use super::codec::MAX_PIXELS;
use super::frame::{PixelFormat, turn_of};
use super::io::{ReadSeek, Reader};
use super::packet::Packet;
use super::remote::{self, Remote, Watch};
use super::{Options, c_string, check, enum_field, fault, ffi, id};
use crate::base::time::TimeBase;
use crate::base::{Error, Result, Token};
use crate::media::turn::Turn;
use std::io::Read;
use std::ptr::NonNull;
use std::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    Video,
    Audio,
    Other,
}

/// What a container says of one stream. Parameters that only a look inside would tell (the size of a picture in
/// MPEG-TS) are zero unless the input was probed.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    pub index: usize,
    pub kind: StreamKind,
    /// libav's codec identifier; see [`super::id`].
    pub codec: u32,
    pub time_base: TimeBase,
    pub width: u32,
    pub height: u32,
    pub sample_rate: u32,
    pub channels: u32,
    pub bit_rate: i64,
    /// Average frames a second as a fraction, (0, 1) when unknown.
    pub frame_rate: (i32, i32),
    /// Degrees clockwise the picture must be turned to be seen upright.
    pub turn: Turn,
    /// Width of a sample over its height, where the container says it: then it counts, whatever the pictures say.
    pub sample_aspect: Option<(i32, i32)>,
    /// Of a video stream.
    pub format: PixelFormat,
    pub attached_picture: bool,
}

/// What to open and how.
pub struct Input {
    pub reader: Box<dyn ReadSeek>,
    /// libav's name of the container when it is known ("mpegts"): skips guessing.
    pub format: Option<&'static str>,
    /// Read ahead until every stream's parameters are known. Costs a tenth of a GOP's decoding in MPEG-TS.
    pub probe: bool,
}

/// An open container.
pub struct Demuxer {
    // Dropped (closed) before the reader and the watch its context points to.
    context: NonNull<ffi::AVFormatContext>,
    /// `None` where libav opens the address itself.
    reader: Option<Reader>,
    /// Of live sources.
    watch: Option<Box<Watch>>,
    token: Token,
}

// SAFETY: an AVFormatContext may move between threads as long as one uses it at a time.
unsafe impl Send for Demuxer {}

impl Demuxer {
    pub fn open(input: Input, token: &Token) -> Result<Self> {
        super::initialise();
        let mut reader = Reader::new(input.reader, token.clone())?;
        let format = input.format.map(c_string).transpose()?;
        // SAFETY: the context is allocated, given our reader and handed to avformat_open_input, which frees it on
        // failure and nulls the pointer. `Demuxer` owns it afterwards.
        let context = unsafe {
            let format =
                format.as_ref().map_or(std::ptr::null(), |name| ffi::av_find_input_format(name.as_ptr()));
            let mut context = ffi::avformat_alloc_context();
            if context.is_null() {
                return Err(super::out_of_memory("demuxer"));
            }
            (*context).pb = reader.as_ptr();
            // Recorded input is not to be trusted to name other files or hosts.
            let mut options = Options::new(&[("protocol_whitelist", "")])?;
            let code = ffi::avformat_open_input(&mut context, std::ptr::null(), format, &mut options.0);
            if code < 0 {
                return Err(reader.failure().unwrap_or_else(|| fault("the media could not be opened", code)));
            }
            NonNull::new(context).ok_or_else(|| super::out_of_memory("demuxer"))?
        };
        let mut demuxer = Self { context, reader: Some(reader), watch: None, token: token.clone() };
        if input.probe {
            let code = demuxer.probe()?;
            if let Err(error) = check("the media could not be understood", code) {
                return Err(demuxer.failure().unwrap_or(error));
            }
        }
        // Some demuxers take a read that failed for the end of a short file.
        demuxer.failure().map_or(Ok(demuxer), Err)
    }

    /// Opens a live source by its address. Errors have the source's stable words as their codes (`auth-failed`,
    /// `refused`, `timeout`); the token and the limits end it wherever it is.
    pub fn open_remote(what: Remote<'_>, token: &Token) -> Result<Self> {
        super::initialise();
        let url = c_string(what.url)?;
        let format = remote::format(what.format)?;
        let options = remote::options(&what)?;
        let watch = Watch::new(token, Some(what.allow));
        watch.limit(Instant::now().checked_add(what.connect));
        let (mut demuxer, left) = Self::open_watched(None, watch, url.as_ptr(), format, options, token)?;
        if let Some(key) = what.required.iter().find(|key| left.holds(key)) {
            let detail = format!("this build of libav does not know {key} of this protocol");
            return Err(Error::new(crate::base::Kind::Unsupported, "unsupported", detail));
        }
        demuxer.expect_order(what.in_order)?;
        demuxer.limit(Instant::now().checked_add(what.understand));
        let late = |error: Error| match error.code {
            "timeout" => Error { code: "timeout-first-frame", ..error },
            _ => error,
        };
        demuxer.understand().map_err(late)?;
        Ok(demuxer)
    }

    /// Opens media that is read as it comes, without going back: what somebody sends us.
    pub fn open_stream(
        reader: Box<dyn Read + Send>,
        format: Option<&'static str>,
        token: &Token,
    ) -> Result<Self> {
        super::initialise();
        let reader = Reader::forward(reader, token.clone())?;
        let format = remote::format(format)?;
        let watch = Watch::new(token, None);
        let options = remote::probing()?;
        let (mut demuxer, _) =
            Self::open_watched(Some(reader), watch, std::ptr::null(), format, options, token)?;
        demuxer.understand()?;
        Ok(demuxer)
    }

    fn open_watched(
        mut reader: Option<Reader>,
        mut watch: Box<Watch>,
        url: *const std::ffi::c_char,
        format: *const ffi::AVInputFormat,
        mut options: Options,
        token: &Token,
    ) -> Result<(Self, Options)> {
        // SAFETY: the context is allocated, asks the watch (on the heap, kept beside it) and is handed to
        // avformat_open_input, which frees it on failure and nulls the pointer. `Demuxer` owns it afterwards.
        let context = unsafe {
            let mut context = ffi::avformat_alloc_context();
            if context.is_null() {
                return Err(super::out_of_memory("demuxer"));
            }
            watch.attach(context);
            if let Some(reader) = &reader {
                (*context).pb = reader.as_ptr();
            }
            let code = ffi::avformat_open_input(&mut context, url, format, &mut options.0);
            if code < 0 {
                let ours = reader.as_mut().and_then(Reader::failure).or_else(|| watch.verdict());
                return Err(ours.unwrap_or_else(|| remote::failure(code)));
            }
            NonNull::new(context).ok_or_else(|| super::out_of_memory("demuxer"))?
        };
        Ok((Self { context, reader, watch: Some(watch), token: token.clone() }, options))
    }

    /// Of H.264 without times of decoding libav looks at seven pictures before it believes that none is reordered, whatever the
    /// parameter sets say; where they are known by now it need not, nor where whoever reads finds the order.
    fn expect_order(&mut self, in_order: fn(&[u8]) -> bool) -> Result<()> {
        let h264: Vec<_> = self.streams().into_iter().filter(|it| it.codec == id::H264).collect();
        let mut told = !h264.is_empty();
        for stream in h264 {
            told = told && in_order(&self.extradata(stream.index)?);
        }
        if told || self.is_untimed() {
            // SAFETY: the context is open and ours; the field is an option of it, which is looked at while probing.
            unsafe { (*self.context.as_ptr()).max_ts_probe = 1 };
        }
        Ok(())
    }

    /// Whether it never says when pictures are decoded, but only when they are shown (RFC 3550 §5.1). What it gives as times of
    /// decoding of H.264 is right where the sequence parameter sets say how far pictures are reordered.
    pub fn is_untimed(&self) -> bool {
        matches!(&*self.format_name(), "rtsp" | "sdp" | "rtp")
    }

    /// Reads until it is told what the streams are, as far as the probing allows.
    ///
    /// Of a transport stream the pictures alone are waited for. What sound is like its packets say by themselves, and the first
    /// of them may be long in coming: such sound is passed over meanwhile, and has no sample rate afterwards.
    fn understand(&mut self) -> Result<()> {
        let transport = self.format_name() == "mpegts";
        let sound: Vec<_> = (0..)
            .map_while(|index| self.stream_pointer(index))
            .filter(|it| transport && describe(0, *it).tells_by_packet())
            .collect();
        const PASSED_OVER: i32 = ffi::AVMediaType::AVMEDIA_TYPE_DATA as i32;
        let one_program = transport && self.stream_pointer(0).is_some();
        // SAFETY: the streams are the open context's, which is ours; the enum is written as the integer it is. libav would wait
        // for one program map more, to see that there are no other programs.
        unsafe {
            sound.iter().for_each(|it| enum_field!((**it).codecpar, codec_type = PASSED_OVER));
            let context = self.context.as_ptr();
            if one_program && (*context).nb_programs == 1 {
                (*context).ctx_flags &= !(ffi::AVFMTCTX_NOHEADER as i32);
            }
        }
        // SAFETY: the context is open and ours.
        let code = unsafe { ffi::avformat_find_stream_info(self.context.as_ptr(), std::ptr::null_mut()) };
        // SAFETY: as above; streams stay where they are as long as the context lives.
        unsafe {
            let heard = ffi::AVMediaType::AVMEDIA_TYPE_AUDIO as i32;
            for parameters in sound.iter().map(|it| (**it).codecpar) {
                // Another program map may have made something else of it.
                if enum_field!(parameters, codec_type) == PASSED_OVER {
                    enum_field!(parameters, codec_type = heard);
                }
            }
        }
        match self.failure() {
            Some(failure) => Err(failure),
            None if code < 0 => Err(remote::failure(code)),
            None => Ok(()),
        }
    }

    /// Calls of a live source end with `timeout` once `at` has passed.
    pub fn limit(&mut self, at: Option<Instant>) {
        if let Some(watch) = &self.watch {
            watch.limit(at);
        }
    }

    /// The wall time of the media's time 0 by the source's clock, in microseconds since 1970, where it tells one.
    pub fn realtime_start(&self) -> Option<i64> {
        // SAFETY: reads an integer of the open context.
        let start = unsafe { (*self.context.as_ptr()).start_time_realtime };
        (start != ffi::AV_NOPTS_VALUE && start > 0).then_some(start)
    }

    /// The address that was opened in the end, after redirections that the protocol followed.
    pub fn address(&self) -> String {
        // SAFETY: `url` is null or a string that lives as long as the context.
        unsafe {
            let url = (*self.context.as_ptr()).url;
            if url.is_null() {
                return String::new();
            }
            std::ffi::CStr::from_ptr(url).to_string_lossy().into_owned()
        }
    }

    /// The error behind a call that failed, where it was a reader's, the token's or a limit's.
    fn failure(&mut self) -> Option<Error> {
        let read = self.reader.as_mut().and_then(Reader::failure);
        read.or_else(|| self.watch.as_ref().and_then(|it| it.verdict()))
    }

    /// Reads ahead. Pictures that are decoded for it have the bound of all others: a header that claims more is believed by
    /// nobody.
    fn probe(&mut self) -> Result<i32> {
        let most = MAX_PIXELS.to_string();
        let count = self.streams().len();
        let mut options =
            (0..count).map(|_| Options::new(&[("max_pixels", &most)])).collect::<Result<Vec<_>>>()?;
        let mut raw: Vec<_> = options.iter().map(|it| it.0).collect();
        // SAFETY: the context is open and ours; there is a dictionary for each stream it has now, which is how many are
        // read. A dictionary may be replaced by another, which is ours then.
        let code = unsafe { ffi::avformat_find_stream_info(self.context.as_ptr(), raw.as_mut_ptr()) };
        for (own, raw) in options.iter_mut().zip(raw) {
            own.0 = raw;
        }
        Ok(code)
    }

    /// The container's short name, such as `mpegts`.
    pub fn format_name(&self) -> String {
        // SAFETY: an open input has a format with a static name.
        unsafe {
            let format = (*self.context.as_ptr()).iformat;
            if format.is_null() {
                return String::new();
            }
            std::ffi::CStr::from_ptr((*format).name).to_string_lossy().into_owned()
        }
    }

    /// The container's duration in microseconds, where it tells one.
    pub fn duration(&self) -> Option<i64> {
        // SAFETY: reads an integer of the open context.
        let duration = unsafe { (*self.context.as_ptr()).duration };
        (duration > 0 && duration != ffi::AV_NOPTS_VALUE).then_some(duration)
    }

    pub(super) fn stream_pointer(&self, index: usize) -> Option<*mut ffi::AVStream> {
        // SAFETY: `streams` holds nb_streams valid pointers, and the bound is checked.
        unsafe {
            let context = self.context.as_ptr();
            (index < (*context).nb_streams as usize).then(|| *(*context).streams.add(index))
        }
    }

    pub fn streams(&self) -> Vec<StreamInfo> {
        (0..).map_while(|index| self.stream_pointer(index).map(|stream| describe(index, stream))).collect()
    }

    /// The stream a viewer would be shown first: of this kind, not a cover picture, the largest or the first.
    pub fn best(&self, kind: StreamKind) -> Option<StreamInfo> {
        let mut best: Option<StreamInfo> = None;
        for stream in self.streams() {
            let better = |than: &StreamInfo| {
                u64::from(stream.width) * u64::from(stream.height)
                    > u64::from(than.width) * u64::from(than.height)
            };
            if stream.kind == kind && !stream.attached_picture && best.as_ref().is_none_or(better) {
                best = Some(stream);
            }
        }
        best
    }

    /// Reads only these streams from now on; packets of others are dropped before they are assembled.
    pub fn select(&mut self, wanted: &[usize]) {
        for index in 0.. {
            let Some(stream) = self.stream_pointer(index) else { return };
            let discard = if wanted.contains(&index) {
                ffi::AVDiscard::AVDISCARD_DEFAULT
            } else {
                ffi::AVDiscard::AVDISCARD_ALL
            };
            // SAFETY: the stream is alive and ours to set up; `discard` is the field libav documents for callers.
            unsafe { (*stream).discard = discard };
        }
    }

    /// The streams that are read.
    pub fn selected(&self) -> Vec<usize> {
        let read = |index: &usize| {
            // SAFETY: the stream is alive; its enum is read as an integer.
            self.stream_pointer(*index)
                .is_some_and(|it| unsafe { enum_field!(it, discard) } < ffi::AVDiscard::AVDISCARD_ALL as i32)
        };
        (0..).take_while(|index| self.stream_pointer(*index).is_some()).filter(read).collect()
    }

    /// The next packet, or `None` at the end. Damaged packets are passed over; any other fault is an error.
    pub fn read(&mut self) -> Result<Option<Packet>> {
        /// Of a live source, after which it is no longer taken for damage that passes.
        const DAMAGED_IN_A_ROW: usize = 1000;
        let packet = Packet::new()?;
        let mut damaged = 0;
        loop {
            self.token.check()?;
            // SAFETY: context and packet are ours; on success the packet owns its buffer.
            let code = unsafe { ffi::av_read_frame(self.context.as_ptr(), packet.as_ptr()) };
            if code >= 0 {
                return Ok(Some(packet));
            }
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            damaged += 1;
            match code {
                ffi::AVERROR_EOF => return Ok(None),
                _ if self.watch.is_some() && (damaged > DAMAGED_IN_A_ROW || !remote::passes(code)) => {
                    return Err(remote::failure(code));
                }
                _ if self.watch.is_some() => {}
                ffi::AVERROR_INVALIDDATA => {}
                _ => return Err(fault("the media could not be read on", code)),
            }
            // After invalid data a demuxer may have stopped for good without saying so.
            // SAFETY: reads a flag of our own byte stream.
            if self.reader.as_ref().is_some_and(|it| unsafe { ffi::avio_feof(it.as_ptr()) } != 0) {
                return Ok(None);
            }
        }
    }

    /// Goes to the last place at or before `ticks` of `stream` where decoding can start.
    pub fn seek(&mut self, stream: usize, ticks: i64) -> Result<()> {
        // SAFETY: the context is open and ours.
        let code = unsafe {
            ffi::avformat_seek_file(self.context.as_ptr(), stream as i32, i64::MIN, ticks, ticks, 0)
        };
        check("the media could not be searched", code).map(drop)
    }

    /// Goes to the first packet that begins at byte `position` of the file or after it, in containers without an index.
    pub fn seek_bytes(&mut self, position: u64) -> Result<()> {
        // SAFETY: the context is open and ours.
        let code = unsafe {
            ffi::av_seek_frame(self.context.as_ptr(), -1, position as i64, ffi::AVSEEK_FLAG_BYTE as i32)
        };
        check("the media could not be searched", code).map(drop)
    }

    /// What decoders are set up with beside the packets: parameter sets, most often.
    pub fn extradata(&self, stream: usize) -> Result<Vec<u8>> {
        let parameters = self.parameters(stream)?;
        // SAFETY: libav keeps `extradata_size` bytes at `extradata` as long as the stream lives.
        unsafe {
            let (data, size) = ((*parameters).extradata, (*parameters).extradata_size);
            if data.is_null() || size <= 0 {
                return Ok(Vec::new());
            }
            Ok(std::slice::from_raw_parts(data, size as usize).to_vec())
        }
    }

    /// Samples in every packet of a sound stream; 0 where they differ or are not known.
    pub fn packet_samples(&self, stream: usize) -> Result<u32> {
        // SAFETY: reads an integer of a live stream.
        Ok(unsafe { (*self.parameters(stream)?).frame_size.max(0) as u32 })
    }

    pub(super) fn parameters(&self, stream: usize) -> Result<*const ffi::AVCodecParameters> {
        let stream = self.stream_pointer(stream).ok_or_else(|| Error::internal("no such stream"))?;
        // SAFETY: a stream always has parameters; they live as long as the demuxer.
        Ok(unsafe { (*stream).codecpar })
    }
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: closes what avformat_open_input opened, once; our own byte stream is left to `reader`, dropped next.
        unsafe { ffi::avformat_close_input(&mut context) };
    }
}

fn describe(index: usize, stream: *mut ffi::AVStream) -> StreamInfo {
    // SAFETY: `stream` comes from an open demuxer that is borrowed while we read; enums are read as integers.
    unsafe {
        let parameters = (*stream).codecpar;
        let kind = match enum_field!(parameters, codec_type) {
            0 => StreamKind::Video,
            1 => StreamKind::Audio,
            _ => StreamKind::Other,
        };
        let (base, rate) = ((*stream).time_base, (*stream).avg_frame_rate);
        let aspect = (*stream).sample_aspect_ratio;
        StreamInfo {
            index,
            kind,
            codec: enum_field!(parameters, codec_id) as u32,
            time_base: TimeBase::new(base.num.max(1), base.den.max(1)),
            width: (*parameters).width.max(0) as u32,
            height: (*parameters).height.max(0) as u32,
            sample_rate: (*parameters).sample_rate.max(0) as u32,
            channels: (*parameters).ch_layout.nb_channels.max(0) as u32,
            bit_rate: (*parameters).bit_rate,
            frame_rate: if rate.num > 0 && rate.den > 0 { (rate.num, rate.den) } else { (0, 1) },
            turn: turn(stream),
            sample_aspect: (aspect.num > 0 && aspect.den > 0).then_some((aspect.num, aspect.den)),
            format: PixelFormat((*parameters).format),
            attached_picture: (*stream).disposition & ffi::AV_DISPOSITION_ATTACHED_PIC as i32 != 0,
        }
    }
}

/// # Safety
/// `stream` belongs to an open demuxer.
#[cfg(not(libavutil_60))]
unsafe fn turn(stream: *mut ffi::AVStream) -> Turn {
    let mut size = 0;
    // SAFETY: the caller's promise; side data is checked to be nine 32-bit integers long.
    unsafe {
        let data = ffi::av_stream_get_side_data(
            stream,
            ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX,
            &mut size,
        );
        if data.is_null() || size < 36 { Turn::NONE } else { turn_of(data.cast::<i32>()) }
    }
}

/// # Safety
/// `stream` belongs to an open demuxer.
#[cfg(libavutil_60)]
unsafe fn turn(stream: *mut ffi::AVStream) -> Turn {
    // SAFETY: the caller's promise; side data is checked to be nine 32-bit integers long.
    unsafe {
        let parameters = (*stream).codecpar;
        let data = ffi::av_packet_side_data_get(
            (*parameters).coded_side_data,
            (*parameters).nb_coded_side_data,
            ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX,
        );
        if data.is_null() || (*data).size < 36 { Turn::NONE } else { turn_of((*data).data.cast::<i32>()) }
    }
}

impl StreamInfo {
    /// True for codecs whose non-reference pictures can be told from their packets and skipped while decoding.
    pub fn may_skip(&self) -> bool {
        matches!(self.codec, id::H264 | id::HEVC | id::MPEG2)
    }

    /// Sound whose every packet says what it is like.
    pub fn tells_by_packet(&self) -> bool {
        self.kind == StreamKind::Audio && matches!(self.codec, id::AAC | id::MP2 | id::MP3 | id::AC3)
    }
}
