c     umat41 and utan41 of LS-DYNA, for solid elements and thick shells.
c
c     In place of the sample routines in dyn21umats.F (umat41) and
c     dyn21utan.F (utan41). Reals and integers have the size that the
c     compiler's flags say; take the double precision version.
c
c     eps: strain increments, sig: stresses, order xx yy zz xy yz zx,
c     engineering shear, in the material's local system.
c     cm(1), cm(2): bulk and shear modulus, for contacts and the step.
c     cm(3): NHV, checked. cm(4): what becomes of a point without a
c     solution: 0 asks for a smaller step (implicit), 1 deletes it.
c     hsv: state, then the tangent, row by row; see lsdyna_point.c.
c     epsp: energy density dissipated so far.
      subroutine umat41 (cm,eps,sig,epsp,hsv,dt1,capa,etype,tt,
     1 temper,failel,crv,nnpcrv,cma,qmat,elsiz,idele,reject)
      use, intrinsic :: iso_c_binding, only: c_int, c_double
      dimension cm(*),eps(*),sig(*),hsv(*),crv(*),cma(*),qmat(3,3)
      integer nnpcrv(*)
      logical failel,reject
      character*5 etype
      interface
        function matnet_lsdyna_history() bind(c) result(n)
          import c_int
          integer(c_int) :: n
        end function
        function matnet_lsdyna_update(eps,dt,temper,sig,hsv,lost)
     1      bind(c) result(failed)
          import c_int, c_double
          real(c_double), intent(in) :: eps(6)
          real(c_double), value :: dt,temper
          real(c_double), intent(inout) :: sig(6),hsv(*),lost
          integer(c_int) :: failed
        end function
        subroutine matnet_lsdyna_stop(given,needed) bind(c)
          import c_int
          integer(c_int), value :: given,needed
        end subroutine
        subroutine matnet_lsdyna_stop_element() bind(c)
        end subroutine
      end interface
      real(c_double) :: deps(6),stress(6),lost
      real(c_double), allocatable :: history(:)
      integer(c_int) :: n
      n=matnet_lsdyna_history()
      if (nint(cm(3)).ne.n) then
        call matnet_lsdyna_stop(nint(cm(3),c_int),n)
      endif
      if (etype.eq.'shell'.or.etype(2:5).eq.'beam') then
        call matnet_lsdyna_stop_element()
      endif
      allocate(history(n))
      deps=eps(1:6)
      stress=sig(1:6)
      history=hsv(1:n)
      lost=epsp
      if (matnet_lsdyna_update(deps,real(dt1,c_double),
     1    real(temper,c_double),stress,history,lost).ne.0) then
        if (nint(cm(4)).eq.1) then
          failel=.true.
        else
          reject=.true.
        endif
      endif
      sig(1:6)=real(stress,kind(cm))
      hsv(1:n)=real(history,kind(cm))
      epsp=real(lost,kind(cm))
      end

      subroutine utan41(cm,eps,sig,epsp,hsv,dt1,unsym,capa,etype,tt,
     1 temper,es,crv,nnpcrv,failel,cma,qmat)
      use, intrinsic :: iso_c_binding, only: c_int
      dimension cm(*),eps(*),sig(*),hsv(*),crv(*),cma(*)
      dimension es(6,*),qmat(3,3)
      integer nnpcrv(*)
      logical failel,unsym
      character*5 etype
      interface
        function matnet_lsdyna_history() bind(c) result(n)
          import c_int
          integer(c_int) :: n
        end function
        function matnet_lsdyna_symmetric() bind(c) result(answer)
          import c_int
          integer(c_int) :: answer
        end function
      end interface
      n=matnet_lsdyna_history()-36
      do i=1,6
        do j=1,6
          es(i,j)=hsv(n+6*(i-1)+j)
        enddo
      enddo
      if (matnet_lsdyna_symmetric().eq.0) unsym=.true.
      end
